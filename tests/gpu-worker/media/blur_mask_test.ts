import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { blurMask } from "../../../gpu-worker/media/blur_mask.ts";

describe("blurMask()", () => {
  const [width, height] = [24, 16];
  const data = Uint8Array.from({ length: width * height }, (_, i) => i % width < 12 ? 255 : 0);

  it("fades an edge along its normal alone, evenly on both sides", () => {
    const blurred = blurMask({ width, height, data }, 2);
    const row = [...blurred.subarray(0, width)];
    for (let y = 1; y < height; y++) assert.deepEqual([...blurred.subarray(y * width, (y + 1) * width)], row);
    // The normal distribution at half a pixel, one and a half, ... from the edge, in units of 255.
    const expected = [152, 196, 228, 246, 253].toReversed();
    for (const [i, value] of expected.entries()) assert.ok(Math.abs(row[7 + i]! - value) <= 2, `${row}`);
    for (let x = 0; x < width; x++) assert.equal(row[x]! + row[width - 1 - x]!, 255);
    assert.deepEqual([row[0], row[23]], [255, 0]);
  });

  it("keeps an even mask, of one pixel too", () => {
    for (const size of [{ width: 5, height: 3 }, { width: 1, height: 1 }]) {
      const even = new Uint8Array(size.width * size.height).fill(200);
      assert.deepEqual(blurMask({ ...size, data: even }, 8), even);
    }
  });
});
