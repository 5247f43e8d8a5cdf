import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { measureVideo } from "./measure_video.ts";
import { COLORS, DIRECTIONS, GROUNDS, shapePrompts } from "./shape_prompts.ts";

const SIZE = 48;

/** A video drawn by other formulas than those it is measured with: pixels inside, in one color. */
function draw({ shape, color, direction, ground }: ReturnType<typeof shapePrompts>[number]) {
  const angle = DIRECTIONS.indexOf(direction) * Math.PI / 4;
  const isInside = (x: number, y: number) =>
    shape === "ball" ? x * x + y * y < 64 : shape === "square"
      ? Math.abs(x) < 7 && Math.abs(y) < 7
      // Point up, 15 high, 17 wide.
      : y > -10 && y < 5 && Math.abs(x) < (y + 10) * 17 / 30;
  const frames = Array.from({ length: 17 }, (_, i) => {
    const [cx, cy] = [24 + (i - 8) * Math.cos(angle), 24 + (i - 8) * Math.sin(angle)];
    const frame = new Uint8Array(SIZE * SIZE * 3);
    for (let y = 0; y < SIZE; y++) {
      for (let x = 0; x < SIZE; x++) {
        const inside = isInside(x + 0.5 - cx, y + 0.5 - cy);
        frame.set(inside ? COLORS[color]! : GROUNDS[ground]!, 3 * (y * SIZE + x));
      }
    }
    return frame;
  });
  return { width: SIZE, height: SIZE, fps: 8, frames };
}

describe("measureVideo()", () => {
  it("recognises every shape, color, direction and background", () => {
    for (const asked of shapePrompts(48)) {
      const { prompt, ...facts } = asked;
      assert.deepEqual(measureVideo(draw(asked)), facts, prompt);
    }
  });

  it("sees nothing in an empty video, and no direction in a still one", () => {
    const video = draw(shapePrompts(1)[0]!);
    const still = { ...video, frames: video.frames.map(() => video.frames[8]!) };
    assert.equal(measureVideo(still).direction, "nowhere");
    const empty = { ...video, frames: [new Uint8Array(SIZE * SIZE * 3).fill(255)] };
    assert.deepEqual(measureVideo(empty), {
      shape: "nothing",
      color: "nothing",
      direction: "nothing",
      ground: "white",
    });
  });
});
