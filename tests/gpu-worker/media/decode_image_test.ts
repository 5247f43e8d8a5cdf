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

  it("takes grey, 16-bit and transparent images, and other formats", async () => {
    const solid = (channels: 3 | 4) =>
      sharp({ create: { width: 4, height: 4, channels, background: { r: 255, g: 0, b: 0, alpha: 0.5 } } });
    const files = [
      solid(3).webp({ lossless: true }),
      solid(3).toColourspace("rgb16").png(),
      solid(3).tiff(),
    ];
    for (const file of files) {
      const { data } = await decodeImage(await file.toBuffer(), { multiple: 4 });
      assert.ok(Math.abs(data[0]! - 1) <= 2 / 255 && data[16] === -1 && data[32] === -1);
    }
    const { data } = await decodeImage(await solid(4).png().toBuffer(), { multiple: 4 });
    const near = (value: number, expected: number) =>
      assert.ok(Math.abs(value - expected) <= 2 / 255, `${value}`);
    near(data[0]!, 1);
    // Half of the white behind it.
    near(data[16]!, 0);
    const grey = await solid(3).greyscale().png().toBuffer();
    assert.equal((await decodeImage(grey, { multiple: 4 })).data.length, 48);
  });

  it("lays a control image's transparent places on black: there is nothing to follow", async () => {
    // White edges on nothing, as programs that find them export it.
    const create = {
      width: 8,
      height: 8,
      channels: 4 as const,
      background: { r: 255, g: 255, b: 255, alpha: 0 },
    };
    const edges = await sharp({ create }).png().toBuffer();
    assert.equal((await decodeImage(edges, { multiple: 4, field: "control_image" })).data[0], -1);
    assert.equal((await decodeImage(edges, { multiple: 4 })).data[0], 1);
  });

  it("turns the picture as its EXIF says", async () => {
    const turned = await sharp(await encodeImage(PICTURE)).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    const { width, height } = await decodeImage(turned, { multiple: 4 });
    assert.deepEqual([width, height], [16, 24]);
  });

  it("converts other colour spaces and profiles to sRGB", async () => {
    const create = { width: 8, height: 8, channels: 3 as const, background: { r: 200, g: 60, b: 40 } };
    const cmyk = await sharp({ create }).toColourspace("cmyk").jpeg({ quality: 100 }).toBuffer();
    assert.equal((await sharp(cmyk).metadata()).space, "cmyk");
    const wide = await sharp({ create }).withIccProfile("p3").png().toBuffer();
    assert.ok((await sharp(wide).metadata()).icc);
    for (const [file, slack] of [[cmyk, 0.25], [wide, 0.02]] as const) {
      const { data } = await decodeImage(file, { multiple: 4 });
      for (const [channel, level] of [200, 60, 40].entries()) {
        const value = data[64 * channel]!;
        assert.ok(Math.abs(value - (2 * level / 255 - 1)) <= slack, `${value} instead of ${level}`);
      }
    }
  });

  it("refuses animations, and images too small for the model's smallest picture", async () => {
    const frames = Uint8Array.from({ length: 3 * 8 * 16 }, (_, i) => i < 3 * 64 ? 7 : 200);
    const strip = () => sharp(frames, { raw: { width: 8, height: 16, channels: 3, pageHeight: 8 } });
    for (const file of [await strip().gif().toBuffer(), await strip().webp().toBuffer()]) {
      await assert.rejects(decodeImage(file, { multiple: 4 }), {
        name: "ImageError",
        message: /must be a still image: it has 2 frames/,
      });
    }
    const png = await encodeImage({ width: 8, height: 8, data: new Float32Array(192) });
    // An APNG announces its frames in a chunk before the pixels.
    const chunk = new Uint8Array(20);
    chunk.set([0, 0, 0, 8, ...new TextEncoder().encode("acTL"), 0, 0, 0, 3]);
    const animated = Uint8Array.from([...png.slice(0, 33), ...chunk, ...png.slice(33)]);
    await assert.rejects(decodeImage(animated, { multiple: 4 }), /it has 3 frames/);
    const dot = await encodeImage({ width: 1, height: 1, data: new Float32Array(3) });
    await assert.rejects(decodeImage(dot, { multiple: 4 }), {
      name: "ImageError",
      message: /at least 4x4 pixels: it is 1x1/,
    });
    assert.equal((await decodeImage(dot, { width: 8, height: 8, multiple: 4 })).width, 8);
  });

  it("refuses files that are cut off", async () => {
    const data = Float32Array.from({ length: 3 * 64 * 64 }, (_, i) => Math.sin(i * i));
    const png = await encodeImage({ width: 64, height: 64, data });
    const files = [png, await sharp(png).jpeg().toBuffer(), await sharp(png).webp().toBuffer()];
    for (const file of files) {
      const half = file.subarray(0, file.length >> 1);
      await assert.rejects(decodeImage(half, { multiple: 4 }), { name: "ImageError" });
    }
  });

  it("refuses non-images, damaged images, and formats that can name other files", async () => {
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
