import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { basename } from "node:path";
import {
  assertOutput,
  encodeOutput,
  firstFile,
  withSuffix,
} from "../../../../gpu-worker/cli/generate/output_files.ts";
import type { GenerateResult } from "../../../../gpu-worker/pipeline/pipeline.ts";
import { stripedVideo } from "../../media/striped_video.ts";

const { signal } = new AbortController();
const result = { video: stripedVideo({ frames: 3 }) } as unknown as GenerateResult;

describe("assertOutput()", () => {
  it("takes pictures of picture models, videos and frames of video models", () => {
    for (const out of ["a.png", "a.JPG", "a.jpeg", "a.webp"]) assertOutput(out, { video: false });
    for (const out of ["a.mp4", "a.gif", "a.WEBP", "frames/", "f/%04d.png", "f/%d.jpg", "f/x-%02d.webp"]) {
      assertOutput(out, { video: true });
    }
  });

  it("names the extensions that it takes", () => {
    for (const out of ["a.mp4", "a.gif", "a", "frames/"]) {
      assert.throws(
        () => assertOutput(out, { video: false }),
        /--out must end in \.png, .* current value is '/,
        out,
      );
    }
    for (const out of ["a.png", "a.jpg", "a", "a.mkv", "f/%04d.gif", "f%d/a.png"]) {
      assert.throws(
        () => assertOutput(out, { video: true }),
        /--out must end in \.mp4, .*frames\/%04d\.png/,
        out,
      );
    }
  });
});

describe("withSuffix()", () => {
  it("keeps the runs of one command apart", () => {
    assert.equal(withSuffix("out/clip.mp4", 7), "out/clip-7.mp4");
    assert.equal(withSuffix("out/frames/", 7), "out/frames-7/");
    assert.equal(withSuffix("out/frames/%04d.png", 7), "out/frames-7/%04d.png");
    assert.equal(withSuffix("%04d.png", 7), "7/%04d.png");
  });
});

describe("encodeOutput()", () => {
  it("numbers the frames of a video from 1, as ffmpeg reads them", async () => {
    for (const out of ["some/frames/", "some/frames/%04d.png"]) {
      const files = await encodeOutput(out, { result, signal });
      assert.deepEqual(files.map(({ path }) => path), [1, 2, 3].map((i) => `some/frames/000${i}.png`));
      assert.equal(firstFile(out), files[0]!.path);
    }
    const unpadded = await encodeOutput("f-%d.webp", { result, signal });
    assert.deepEqual(unpadded.map(({ path }) => basename(path)), ["f-1.webp", "f-2.webp", "f-3.webp"]);
  });

  it("encodes a video as its extension says", async () => {
    const starts = { "a.mp4": "\0\0\0\x20ftyp", "a.gif": "GIF89a", "a.webp": "RIFF" };
    for (const [out, start] of Object.entries(starts)) {
      const [{ path, bytes }] = await encodeOutput(out, { result, signal }) as [
        { path: string; bytes: Uint8Array },
      ];
      assert.equal(path, out);
      assert.ok(new TextDecoder("latin1").decode(bytes.subarray(0, 8)).startsWith(start.slice(0, 3)), out);
    }
  });
});
