// Image files that clients should not send to /v1/images/edits, and odd ones that are taken all the same.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import sharp, { type Sharp } from "sharp";
import { grey, hole, LOOKING, startEdits } from "./start_edits.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const solid = (channels: 3 | 4 = 4) =>
  sharp({ create: { width: 16, height: 16, channels, background: { r: 200, g: 60, b: 40, alpha: 0 } } });
const written = async (image: Sharp): Promise<Bytes> => new Uint8Array(await image.toBuffer());

/** Two frames, of which the second is another colour. */
const frames = () =>
  sharp(Uint8Array.from({ length: 4 * 16 * 32 }, (_, i) => i < 4 * 256 ? 7 : 200), {
    raw: { width: 16, height: 32, channels: 4, pageHeight: 16 },
  });

/** A PNG whose header claims a size that its pixels do not have. */
function claiming(png: Bytes, width: number, height: number): Bytes {
  const changed = png.slice();
  const view = new DataView(changed.buffer);
  view.setUint32(16, width);
  view.setUint32(20, height);
  view.setUint32(29, crc32(changed.subarray(12, 29)));
  return changed;
}

/** A PNG with the chunk that announces frames. */
function announcing(png: Bytes): Bytes {
  const chunk = new Uint8Array(20);
  chunk.set([0, 0, 0, 8, ...new TextEncoder().encode("acTL"), 0, 0, 0, 2]);
  return Uint8Array.from([...png.slice(0, 33), ...chunk, ...png.slice(33)]);
}

describe("an image file of POST /v1/images/edits", () => {
  const HUGE = /at most 67108864 pixels: it is 10000x10000/;
  const FILES: [name: string, make: () => Promise<Bytes>, message: RegExp][] = [
    ["100 megapixels", async () => claiming(await written(solid().png()), 10_000, 10_000), HUGE],
    ["an animated GIF", () => written(frames().gif()), /a still image: it has 2 frames/],
    ["an animated WebP", () => written(frames().webp()), /a still image: it has 2 frames/],
    ["an animated PNG", async () => announcing(await written(solid().png())), /it has 2 frames/],
    ["text", () => Promise.resolve(new TextEncoder().encode("no image")), /it is no image/],
    ["nothing", () => Promise.resolve(new Uint8Array()), /it is no image/],
    [
      "an SVG",
      () =>
        Promise.resolve(
          new TextEncoder().encode('<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16"/>'),
        ),
      /svg is not one of jpeg, png/,
    ],
    ["a header alone", async () => (await written(solid().png())).slice(0, 40), /no image, or a damaged one/],
  ];
  for (const [name, make, message] of FILES) {
    it(`is refused as ${name}: the image, the mask or one to look at`, async () => {
      const drawing = startEdits();
      const looking = startEdits(LOOKING);
      await using _worker = drawing.worker;
      await using _other = looking.worker;
      const file = await make();
      const fields = { prompt: "x", size: "16x16" };
      const answers = [
        ["image", await drawing.edit({ ...fields, image: file })],
        ["mask", await drawing.edit({ ...fields, image: await grey(0), mask: file })],
        ["image", await looking.edit({ ...fields, image: [await grey(0), file] })],
      ] as const;
      for (const [field, answer] of answers) {
        const { error } = await answer.json();
        assert.deepEqual([answer.status, error.param, error.code], [400, field, "invalid_value"]);
        assert.match(error.message, message);
      }
      assert.equal(drawing.pipeline.request, undefined);
      assert.equal(looking.pipeline.request, undefined);
    });
  }

  it("is refused where it is cut off behind its header", async () => {
    const { worker, edit, pipeline } = startEdits();
    await using _worker = worker;
    const noise = Uint8Array.from({ length: 4 * 16 * 16 }, (_, i) => 128 + 127 * Math.sin(i * i));
    const raw = { width: 16, height: 16, channels: 4 as const };
    const png = await written(sharp(noise, { raw }).png());
    const half = png.slice(0, png.length >> 1);
    const cases = { image: { image: half }, mask: { image: await grey(0), mask: half } };
    for (const [field, files] of Object.entries(cases)) {
      const answer = await edit({ prompt: "x", ...files });
      const { error } = await answer.json();
      assert.deepEqual([answer.status, error.param], [400, field], error.message);
      assert.match(error.message, /no image, or a damaged one/);
    }
    assert.equal(pipeline.request, undefined);
  });

  it("is refused if it has one pixel, unless the request has a size", async () => {
    const { worker, edit, pipeline } = startEdits();
    await using _worker = worker;
    const image = await grey(0.5, 1, 1);
    const answer = await edit({ prompt: "x", image });
    const { error } = await answer.json();
    assert.deepEqual([answer.status, error.param], [400, "image"]);
    assert.match(error.message, /at least 8x8 pixels: it is 1x1. Try a size to enlarge it to/);
    const sized = await edit({ prompt: "x", image, mask: await hole(1, 1, 1), size: "16x16" });
    assert.equal(sized.status, 200, await sized.text());
    assert.ok(pipeline.request!.startImage!.mask!.image.data!.every((value) => value === 255));
  });

  const TAKEN: [name: string, make: () => Promise<Bytes>, slack: number][] = [
    ["CMYK", () => written(solid(3).toColourspace("cmyk").jpeg({ quality: 100 })), 32],
    ["16 bits", () => written(solid(3).toColourspace("rgb16").png()), 1],
    ["a wide profile", () => written(solid(3).withIccProfile("p3").png()), 3],
  ];
  for (const [name, make, slack] of TAKEN) {
    it(`is converted to 8-bit sRGB from ${name}`, async () => {
      const { worker, edit, pipeline } = startEdits();
      await using _worker = worker;
      const answer = await edit({ prompt: "x", image: await make() });
      assert.equal(answer.status, 200, await answer.text());
      const { data } = pipeline.request!.startImage!.image;
      for (const [channel, level] of [200, 60, 40].entries()) {
        const value = (data[256 * channel]! + 1) / 2 * 255;
        assert.ok(Math.abs(value - level) <= slack, `${value} instead of ${level}`);
      }
    });
  }

  it("is refused as a mask of other proportions, or without an image", async () => {
    const { worker, edit } = startEdits();
    await using _worker = worker;
    const image = await grey(0);
    const cases = [
      [{ image, mask: await hole(8, 16) }, "mask", /the image's proportions, 16x16: it is 8x16/],
      [{ mask: await hole() }, "image", /'image'/],
    ] as const;
    for (const [files, field, message] of cases) {
      const answer = await edit({ prompt: "x", ...files });
      const { error } = await answer.json();
      assert.deepEqual([answer.status, error.param], [400, field], error.message);
      assert.match(error.message, message);
    }
  });

  it("gives a picture of its own size where a part of it is drawn", async () => {
    const { worker, edit, pipeline } = startEdits();
    await using _worker = worker;
    const fields = { prompt: "x", image: await grey(0, 45, 30), mask: await hole(45, 30, 9) };
    const answer = await edit({ ...fields, padding_mask_crop: "2", size: "16x16" });
    assert.equal(answer.status, 200, await answer.clone().text());
    const { size, data } = await answer.json();
    assert.deepEqual([size, data[0].receipt.options.picture_size], ["45x30", "45x30"]);
    assert.deepEqual([data[0].receipt.width, data[0].receipt.height], [16, 16]);
    const { startImage } = pipeline.request!;
    assert.deepEqual([startImage!.image.width, startImage!.mask!.image.height], [45, 30]);
  });
});
