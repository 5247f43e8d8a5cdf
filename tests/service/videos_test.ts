// The official client's videos against the real `deno task start`, with the embedded video checkpoint.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import OpenAI from "openai";
import sharp from "sharp";
import type { Receipt } from "../../protocol/wire/receipt.ts";
import { probe, WITHOUT_FFMPEG } from "../gpu-worker/media/ffprobe.ts";
import { type Service, startService } from "./service.ts";
import { until } from "../until.ts";

/** Fields of our own beside OpenAI's. */
interface Extended {
  seed: number;
  receipt?: Receipt;
}

describe("openai client, videos", () => {
  let service: Service;
  let client: OpenAI;
  before(async () => {
    service = await startService({}, "--models", "models/shapes");
    client = new OpenAI({ baseURL: `${service.url}/v1`, apiKey: "unused", maxRetries: 0 });
  });
  after(() => service[Symbol.asyncDispose]());

  const make = async (fields: Record<string, unknown>) => {
    const { id } = await client.videos.create(
      { prompt: "a red ball moves right", ...fields } as OpenAI.VideoCreateParams,
    );
    return await until(async () => {
      const video = await client.videos.retrieve(id);
      return !["queued", "in_progress"].includes(video.status) && video as OpenAI.Video & Extended;
    }, { every: 20 });
  };

  it("creates, polls and downloads a video that ffprobe reads as it was asked for", async () => {
    const video = await make({ seconds: "4", size: "48x48", seed: 7 });
    assert.equal(video.status, "completed", JSON.stringify(video.error));
    const content = await client.videos.downloadContent(video.id);
    const bytes = new Uint8Array(await content.arrayBuffer());
    assert.equal(content.headers.get("content-type"), "video/mp4");
    assert.deepEqual([video.receipt!.num_frames, video.receipt!.fps], [33, 8]);
    assert.ok(video.receipt!.forecast_steps.length > 0, "Spectrum is the default");
    if (!WITHOUT_FFMPEG) {
      const { codec, pixelFormat, width, height, rate, frames, seconds } = await probe(bytes);
      assert.deepEqual([codec, pixelFormat, width, height], ["h264", "yuv420p", 48, 48]);
      assert.deepEqual([rate, frames, seconds], ["8/1", 33, 4.125]);
    }
    const still = await client.videos.downloadContent(video.id, { variant: "thumbnail" });
    const { format, width } = await sharp(await still.arrayBuffer()).metadata();
    assert.deepEqual([format, width], ["webp", 48]);

    const again = await make({ seconds: "4", size: "48x48", seed: 7 });
    assert.equal(again.receipt!.cache, "hit");
    const same = new Uint8Array(await (await client.videos.downloadContent(again.id)).arrayBuffer());
    assert.deepEqual(same, bytes);
  });

  it("lists and deletes its videos", async () => {
    const { id } = await make({ seed: 1, steps: 4 });
    const { data } = await client.videos.list();
    assert.equal(data[0]!.id, id);
    await client.videos.delete(id);
    assert.ok(!(await client.videos.list()).data.some((video) => video.id === id));
  });
});
