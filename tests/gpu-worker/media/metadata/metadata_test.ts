// Metadata in files, as sharp and ffprobe read them and as this program does.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import sharp from "sharp";
import { encodeRgb } from "../../../../gpu-worker/media/encode_rgb.ts";
import { encodeVideo } from "../../../../gpu-worker/media/encode_video.ts";
import { readMetadata } from "../../../../gpu-worker/media/metadata/read_metadata.ts";
import { shownSize } from "../../../../routes/requests/shown_size.ts";
import { stripedVideo } from "../striped_video.ts";
import { WITHOUT_FFMPEG } from "../ffprobe.ts";

const metadata = { parameters: "a café, 雪\nSteps: 4, Seed: 1", json: `{"prompt":"a café, 雪 🐶"}` };
const image = { width: 21, height: 14, rgb: Uint8Array.from({ length: 21 * 14 * 3 }, (_, i) => i * 7) };

describe("metadata in pictures", () => {
  for (const format of ["png", "jpeg", "webp"] as const) {
    it(`a ${format} keeps its pixels and size, and returns the written text`, async () => {
      const plain = await encodeRgb(image, { format });
      const file = await encodeRgb(image, { format, metadata });
      assert.deepEqual(await encodeRgb(image, { format, metadata }), file);
      assert.equal(await readMetadata(file), metadata.json);
      assert.equal(await readMetadata(plain), undefined);
      const [bare, told] = await Promise.all([plain, file].map((bytes) => sharp(bytes).raw().toBuffer()));
      assert.deepEqual(told, bare);
      const { width, height, exif, comments, orientation } = await sharp(file).metadata();
      assert.deepEqual([width, height, orientation], [image.width, image.height, undefined]);
      if (format === "png") {
        assert.deepEqual(comments, [
          { keyword: "parameters", text: metadata.parameters },
          { keyword: "spectrum", text: metadata.json },
        ]);
      } else {
        const comment = exif!.subarray(exif!.indexOf("UNICODE\0") + 8);
        const units = new TextDecoder("utf-16be").decode(comment);
        assert.ok(units.startsWith(metadata.parameters), units);
      }
      // Only a decoder tells whether a WebP with EXIF is turned.
      assert.deepEqual(shownSize(file), format === "webp" ? undefined : { width: 21, height: 14 });
    });
  }

  it("leaves out a part of a prompt that a JPEG's segment cannot hold, then all of it", async () => {
    const long = (length: number) => ({
      parameters: "x".repeat(length),
      json: JSON.stringify("x".repeat(length)),
    });
    for (const [length, isTold] of [[20_000, true], [40_000, true], [70_000, false]] as const) {
      const file = await encodeRgb(image, { format: "jpeg", metadata: long(length) });
      assert.equal((await sharp(file).metadata()).width, image.width);
      assert.equal(await readMetadata(file), isTold ? long(length).json : undefined, String(length));
    }
  });

  it("reads nothing from files that we did not write", async () => {
    const damaged = (await encodeRgb(image, { metadata })).subarray(0, 100);
    for (
      const bytes of [
        new Uint8Array(),
        damaged,
        new TextEncoder().encode("GIF89a!\xfe"),
        Uint8Array.of(255, 216, 255),
      ]
    ) {
      assert.equal(await readMetadata(bytes), undefined);
    }
  });
});

describe("encodeVideo()", () => {
  it("writes no time of day into an MP4", async () => {
    const video = stripedVideo({ frames: 3 });
    const today = Date.now;
    const first = await encodeVideo(video, { format: "mp4" });
    try {
      Date.now = () => today() + 86_400_000;
      assert.deepEqual(await encodeVideo(video, { format: "mp4" }), first);
    } finally {
      Date.now = today;
    }
  });
});

describe("metadata in videos", () => {
  const video = stripedVideo({ frames: 3 });
  for (const format of ["webp", "gif", "mp4"] as const) {
    it(`a ${format} returns the written text`, async () => {
      const file = await encodeVideo(video, { format, metadata });
      assert.deepEqual(await encodeVideo(video, { format, metadata }), file);
      assert.equal(await readMetadata(file), metadata.json);
      assert.equal(await readMetadata(await encodeVideo(video, { format })), undefined);
      if (format !== "mp4") assert.equal((await sharp(file, { animated: true }).metadata()).pages, 3);
    });
  }

  it("ffprobe reads an MP4's tags", { skip: WITHOUT_FFMPEG }, async () => {
    const path = await Deno.makeTempFile({ suffix: ".mp4" });
    try {
      await Deno.writeFile(path, await encodeVideo(video, { format: "mp4", metadata }));
      const args = ["-v", "error", "-show_format", "-of", "json", path];
      const { stdout } = await new Deno.Command("ffprobe", { args }).output();
      const { comment, description } = JSON.parse(new TextDecoder().decode(stdout)).format.tags;
      assert.deepEqual([comment, description], [metadata.parameters, metadata.json]);
    } finally {
      await Deno.remove(path);
    }
  });
});
