// Decodes the files of masks.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import sharp from "sharp";
import { assertSameShape, decodeMask } from "../../../gpu-worker/media/decode_mask.ts";

/** A PNG of 4x2 pixels of four channels each. */
const png = async (pixels: readonly number[][]) =>
  await sharp(Uint8Array.from(pixels.flat()), { raw: { width: 4, height: 2, channels: 4 } }).png().toBuffer();

const CLEAR = [255, 255, 255, 0];
const WHITE = [255, 255, 255, 255];
const BLACK = [0, 0, 0, 255];
const FAINT = [0, 0, 0, 155];
const RED = [255, 0, 0, 255];
const size = { width: 4, height: 2 };

describe("decodeMask()", () => {
  it("marks transparent places, more the less they cover", async () => {
    const file = await png([CLEAR, WHITE, BLACK, FAINT, WHITE, WHITE, CLEAR, CLEAR]);
    const { data } = await decodeMask(file, { ...size, mode: "alpha" });
    assert.deepEqual([...data], [255, 0, 0, 100, 0, 0, 255, 255]);
  });

  it("marks white or black places, with Pillow's grey for colours", async () => {
    const file = await png([WHITE, BLACK, RED, WHITE, BLACK, BLACK, BLACK, WHITE]);
    const { data } = await decodeMask(file, { ...size, mode: "white" });
    assert.deepEqual([...data], [255, 0, 76, 255, 0, 0, 0, 255]);
    const black = await decodeMask(file, { ...size, mode: "black" });
    assert.deepEqual([...black.data], [0, 255, 179, 0, 255, 255, 255, 0]);
  });

  it("takes what is transparent for black in the modes of colours", async () => {
    // White strokes on nothing, as painting programs write them.
    const file = await png([CLEAR, WHITE, [0, 0, 0, 0], [255, 255, 255, 100], WHITE, BLACK, CLEAR, CLEAR]);
    const { data } = await decodeMask(file, { ...size, mode: "white" });
    assert.deepEqual([...data], [0, 255, 0, 100, 255, 0, 0, 0]);
    const black = await decodeMask(file, { ...size, mode: "black" });
    assert.deepEqual([...black.data], [255, 0, 255, 155, 0, 255, 255, 255]);
  });

  it("is resized to the picture, as Pillow does", async () => {
    const half = [CLEAR, CLEAR, WHITE, WHITE];
    const { data } = await decodeMask(await png([...half, ...half]), { width: 16, height: 8, mode: "alpha" });
    assert.equal(data.length, 128);
    const row = [243, 249, 255, 255, 255, 255, 232, 166, 89, 23, 0, 0, 0, 0, 6, 12];
    assert.deepEqual([...data.subarray(0, 16)], row);
  });

  it("names the mask in errors", async () => {
    const grey = await sharp({ create: { width: 4, height: 2, channels: 3, background: "white" } }).png()
      .toBuffer();
    await assert.rejects(decodeMask(grey, { ...size, mode: "alpha" }), {
      field: "mask",
      message: /Cannot read 'mask' as it must have an alpha channel in mask mode alpha/,
    });
    await assert.rejects(decodeMask(grey.subarray(0, 60), { ...size, mode: "white" }), { field: "mask" });
  });
});

describe("assertSameShape()", () => {
  it("takes other sizes of the same proportions, up to rounding", () => {
    const image = { width: 1023, height: 767 };
    for (const mask of [image, { width: 512, height: 384 }, { width: 2046, height: 1534 }]) {
      assertSameShape(mask, image);
    }
    assert.throws(() => assertSameShape({ width: 512, height: 512 }, image), {
      field: "mask",
      message: /must have the image's proportions, 1023x767: it is 512x512/,
    });
  });
});
