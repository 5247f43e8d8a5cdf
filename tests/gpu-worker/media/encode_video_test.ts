import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import sharp from "sharp";
import { encodeMp4 } from "../../../gpu-worker/media/encode_mp4.ts";
import { encodeVideo } from "../../../gpu-worker/media/encode_video.ts";
import { encodeFrame, encodeSpritesheet, encodeThumbnail } from "../../../gpu-worker/media/video_stills.ts";
import { stripedVideo } from "./striped_video.ts";
import { probe, psnr, WITHOUT_FFMPEG } from "./ffprobe.ts";

const skip = WITHOUT_FFMPEG;

describe("encodeMp4()", () => {
  for (const encoder of ["ffmpeg", "wasm"] as const) {
    it(
      `makes H.264 of the right size, rate and length by ffprobe, with ${encoder}`,
      { skip },
      async () => {
        for (const options of [{}, { frames: 1 }, { width: 64, height: 48, frames: 33, fps: 12.5 }]) {
          const video = stripedVideo(options);
          const { width, height, fps, frames } = video;
          const probed = await probe(await encodeMp4(video, { encoder }));
          const [over, under] = probed.rate.split("/").map(Number);
          assert.deepEqual({ ...probed, rate: over! / under!, seconds: 0 }, {
            ...{
              codec: "h264",
              pixelFormat: "yuv420p",
              width,
              height,
              rate: fps,
              frames: frames.length,
              seconds: 0,
            },
          });
          assert.ok(Math.abs(probed.seconds - frames.length / fps) < 0.01, `${probed.seconds} s`);
        }
      },
    );

    it(`shows the frames in their order, by ${encoder}`, { skip }, async () => {
      const video = stripedVideo();
      // The square's edges lose colour to 4:2:0. Frames out of order are below 17 dB.
      const best = await psnr(await encodeMp4(video, { encoder }), video);
      const coarse = await psnr(await encodeMp4(video, { encoder, compression: 20 }), video);
      assert.ok(best > 27 && coarse < best, `${best} and ${coarse} dB`);
    });
  }

  it("refuses odd sizes by name", async () => {
    const refused = /Cannot encode an MP4 as 'height' must be even: current value is 31/;
    await assert.rejects(encodeMp4(stripedVideo({ height: 31 })), refused);
  });

  it("kills ffmpeg when it is cancelled", { skip }, async () => {
    const large = stripedVideo({ width: 1280, height: 720, frames: 200 });
    const cancel = new AbortController();
    const encoded = encodeMp4(large, { signal: cancel.signal, encoder: "ffmpeg" });
    const refused = assert.rejects(encoded, /enough/);
    cancel.abort(new Error("enough"));
    await refused;
    const { stdout } = await new Deno.Command("ps", { args: ["--ppid", `${Deno.pid}`, "-o", "comm="] })
      .output();
    assert.ok(!new TextDecoder().decode(stdout).includes("ffmpeg"));
  });

  it("ends the packaged encoder when it is cancelled", async () => {
    const cancel = new AbortController();
    const encoded = encodeMp4(stripedVideo(), { signal: cancel.signal, encoder: "wasm" });
    cancel.abort(new Error("enough"));
    await assert.rejects(encoded, /enough/);
  });
});

describe("encodeVideo()", () => {
  for (const format of ["gif", "webp"] as const) {
    it(`animates a ${format} of every frame without an end, at the video's rate`, async () => {
      for (const fps of [8, 12, 16, 24]) {
        const video = stripedVideo({ fps });
        const { pages, loop, delay, width, pageHeight } = await sharp(
          await encodeVideo(video, { format }),
          { animated: true },
        ).metadata();
        assert.deepEqual({ pages, loop, width, pageHeight }, {
          pages: 17,
          loop: 0,
          width: 48,
          pageHeight: 32,
        });
        const total = delay!.reduce((sum, value) => sum + value, 0);
        // Half a tick, as a GIF counts hundredths of a second.
        assert.ok(Math.abs(total - 17_000 / fps) <= 5, `${fps}: ${total} ms`);
      }
    });
  }

  it("shows frames that are like the one before for as long", async () => {
    const { frames, ...facts } = stripedVideo();
    const still = { ...facts, frames: [frames[0]!, frames[0]!, frames[0]!, frames[16]!] };
    const gif = await sharp(await encodeVideo(still, { format: "gif" }), { animated: true }).metadata();
    assert.deepEqual(gif.delay, [130, 120, 130, 120]);
    // libwebp merges equal frames into one longer frame.
    const webp = await sharp(await encodeVideo(still, { format: "webp" }), { animated: true }).metadata();
    assert.deepEqual(webp.delay, [375, 125]);
  });

  it("does not start for a signal that has aborted", async () => {
    await assert.rejects(
      encodeVideo(stripedVideo(), { signal: AbortSignal.abort(new Error("late")) }),
      /late/,
    );
  });
});

describe("encodeFrame()", () => {
  it("is the frame, bit for bit, as PNG", async () => {
    const video = stripedVideo();
    const pixels = await sharp(await encodeFrame(video, { index: 16 })).raw().toBuffer();
    assert.deepEqual(Uint8Array.from(pixels), video.frames[16]);
  });

  it("refuses a frame that there is not", () => {
    assert.throws(
      () => encodeFrame(stripedVideo(), { index: 17 }),
      /'index' must be in 0..16: current value is 17/,
    );
  });
});

describe("encodeThumbnail()", () => {
  it("is the middle frame, as WebP", async () => {
    const { format, width, height } = await sharp(await encodeThumbnail(stripedVideo())).metadata();
    assert.deepEqual({ format, width, height }, { format: "webp", width: 48, height: 32 });
  });
});

describe("encodeSpritesheet()", () => {
  it("has every frame of a short video and 25 of a long one, side by side", async () => {
    const sizes = { 1: [48, 32], 17: [240, 128], 100: [240, 160] };
    for (const [frames, size] of Object.entries(sizes)) {
      const { format, width, height } = await sharp(
        await encodeSpritesheet(stripedVideo({ frames: Number(frames) })),
      )
        .metadata();
      assert.deepEqual([format, width, height], ["jpeg", ...size], frames);
    }
  });

  it("makes large frames small", async () => {
    const { width, height } = await sharp(
      await encodeSpritesheet(stripedVideo({ width: 832, height: 480, frames: 4 })),
    ).metadata();
    assert.deepEqual([width, height], [320, 184]);
  });
});
