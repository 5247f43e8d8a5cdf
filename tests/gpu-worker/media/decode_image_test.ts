// Decodes image files for the VAE encoder.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import sharp from "sharp";
import { decodeImage } from "../../../gpu-worker/media/decode_image.ts";
import { encodeImage } from "../../../gpu-worker/media/encode_image.ts";
import { loadGoldens } from "../../goldens/golden.ts";

const PICTURE = { width: 24, height: 16, data: loadGoldens("img2img").floats("input.image") };

describe("decodeImage()", () => {
  it("gives the pixels that diffusers' VaeImageProcessor gives, bit for bit", async () => {
    assert.deepEqual(await decodeImage(await encodeImage(PICTURE), { multiple: 4 }), PICTURE);
  });

  it("cuts the image's own size down to a multiple, and resizes to a given one", async () => {
    const png = await encodeImage(PICTURE);
    const own = await decodeImage(png, { multiple: 10 });
    assert.deepEqual([own.width, own.height, own.data.length], [20, 10, 600]);
    const given = await decodeImage(png, { width: 8, height: 40, multiple: 4 });
    assert.deepEqual([given.width, given.height, given.data.length], [8, 40, 960]);
    assert(given.data.every((value) => value >= -1 && value <= 1));
    const huge = decodeImage(png, { width: 1e9, multiple: 4 });
    await assert.rejects(huge, {
      name: "RangeError",
      message: /'width' must be a whole number in 1\.\.8192/,
    });
  });

  it("takes grey, 16-bit and transparent images and those of other formats", async () => {
    const solid = (channels: 3 | 4) =>
      sharp({ create: { width: 4, height: 4, channels, background: { r: 255, g: 0, b: 0, alpha: 0.5 } } });
    const files = [
      solid(3).webp({ lossless: true }),
      solid(4).png(),
      solid(3).toColourspace("rgb16").png(),
      solid(3).tiff(),
    ];
    for (const file of files) {
      const { data } = await decodeImage(await file.toBuffer(), { multiple: 4 });
      // Colour times alpha is rounded to 8 bits.
      assert.ok(Math.abs(data[0]! - 1) <= 2 / 255 && data[16] === -1 && data[32] === -1);
    }
    const grey = await solid(3).greyscale().png().toBuffer();
    assert.equal((await decodeImage(grey, { multiple: 4 })).data.length, 48);
  });

  it("turns the picture as its EXIF says", async () => {
    const turned = await sharp(await encodeImage(PICTURE)).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    const { width, height } = await decodeImage(turned, { multiple: 4 });
    assert.deepEqual([width, height], [16, 24]);
  });

  it("refuses what is no image, damaged, or of a format that can name other files", async () => {
    const png = await encodeImage(PICTURE);
    const svg = new TextEncoder().encode('<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"/>');
    for (const bytes of [new Uint8Array(), new TextEncoder().encode("hello"), png.slice(0, 60), svg]) {
      await assert.rejects(decodeImage(bytes, { multiple: 4 }), {
        name: "ImageError",
        message: /Cannot read 'image' as/,
      });
    }
  });

  it("refuses more pixels than 64 million", async () => {
    const create = { width: 16_384, height: 4097, channels: 3 as const, background: "red" };
    const bomb = await sharp({ create }).png({ compressionLevel: 1 }).toBuffer();
    await assert.rejects(decodeImage(bomb, { multiple: 4 }), {
      name: "ImageError",
      message: /at most 67108864 pixels: it is 16384x4097/,
    });
  });
});
