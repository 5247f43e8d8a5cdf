// The official client's videos against the edge in this process, before a worker whose
// steps the test controls.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import OpenAI from "openai";
import { MemoryResultStore } from "../../../protocol/store/results/memory_result_store.ts";
import { createApp } from "../../../routes/app.ts";
import { MemoryKeyStore } from "../../../routes/keys/memory_key_store.ts";
import { FakePipeline, type FakePipelineOptions } from "../../gpu-worker/http/fake_pipeline.ts";
import { startTestWorker } from "../../gpu-worker/http/test_worker.ts";
import { probe, WITHOUT_FFMPEG } from "../../gpu-worker/media/ffprobe.ts";
import { testPool } from "../runs/pool.ts";
import { until } from "../../until.ts";

const LOCAL = { remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 } } as const;

/** Fields of our own beside OpenAI's. */
interface Extended {
  seed: number;
  num_frames: number;
  fps: number;
  output_format: string;
  receipt?: { cache: string; num_frames: number; full_steps: number[] };
}

function start(options: FakePipelineOptions = {}, keys: string[] = []) {
  const pipeline = new FakePipeline({ id: "videos", video: true, ...options });
  const worker = startTestWorker([new FakePipeline(), pipeline]);
  const app = createApp({
    workers: testPool(worker.url),
    results: new MemoryResultStore(),
    keys,
    keyStore: new MemoryKeyStore(),
    maxAttempts: 1,
    log: () => {},
  });
  const request = async (path: string, init: RequestInit = {}) =>
    await app.request(`http://localhost/v1${path}`, init, LOCAL);
  const client = new OpenAI({
    baseURL: "http://localhost/v1",
    apiKey: keys[0] ?? "unused",
    maxRetries: 0,
    fetch: async (url, init) => await app.request(url as string, init, LOCAL),
  });
  const create = async (fields: Record<string, unknown>) =>
    await client.videos.create({ prompt: "x", ...fields } as OpenAI.VideoCreateParams) as
      & OpenAI.Video
      & Extended;
  const poll = (id: string) =>
    until(async () => {
      const video = await client.videos.retrieve(id) as OpenAI.Video & Extended;
      return ["completed", "failed"].includes(video.status) && video;
    });
  const post = (fields: object) =>
    request("/videos", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ prompt: "x", ...fields }),
    });
  return { pipeline, worker, client, request, create, poll, post };
}

const refused = (status: number, param?: string) => (error: unknown) =>
  error instanceof OpenAI.APIError && error.status === status &&
  (param === undefined || error.param === param);

describe("videoRoutes()", () => {
  it("creates, polls and downloads a video as long as OpenAI's seconds say", async () => {
    const { worker, create, poll, client } = start();
    await using _worker = worker;
    const created = await create({ seconds: "4", size: "32x16", seed: 7 });
    assert.deepEqual([created.object, created.model, created.prompt], ["video", "videos", "x"]);
    assert.deepEqual([created.seconds, created.size, created.error], ["4", "32x16", null]);
    assert.ok(["queued", "in_progress", "completed"].includes(created.status));

    const video = await poll(created.id);
    assert.deepEqual([video.status, video.progress, video.num_frames, video.fps], ["completed", 100, 33, 8]);
    assert.ok(video.completed_at! >= video.created_at && video.expires_at! > video.completed_at!);
    assert.deepEqual([video.receipt!.num_frames, video.receipt!.full_steps], [33, [0, 1, 2, 3]]);

    const content = await client.videos.downloadContent(video.id);
    assert.equal(content.headers.get("content-type"), "video/mp4");
    const bytes = new Uint8Array(await content.arrayBuffer());
    if (!WITHOUT_FFMPEG) {
      const { codec, frames, width, height, seconds } = await probe(bytes);
      assert.deepEqual([codec, frames, width, height, seconds], ["h264", 33, 32, 16, 33 / 8]);
    }
  });

  it("serves content whole, in ranges or as 304, with a thumbnail and a spritesheet", async () => {
    const { worker, create, poll, request } = start();
    await using _worker = worker;
    const { id } = await poll((await create({ seed: 1 })).id);
    const whole = await request(`/videos/${id}/content`);
    const bytes = new Uint8Array(await whole.arrayBuffer());
    const part = await request(`/videos/${id}/content`, { headers: { range: "bytes=4-7" } });
    assert.deepEqual([part.status, await part.text()], [206, "ftyp"]);
    assert.equal(part.headers.get("content-range"), `bytes 4-7/${bytes.length}`);
    const beyond = await request(`/videos/${id}/content`, { headers: { range: `bytes=${bytes.length}-` } });
    assert.equal(beyond.status, 416);
    const etag = whole.headers.get("etag")!;
    const known = await request(`/videos/${id}/content`, { headers: { "if-none-match": etag } });
    assert.equal(known.status, 304);
    for (const [variant, type] of [["thumbnail", "image/webp"], ["spritesheet", "image/jpeg"]]) {
      const still = await request(`/videos/${id}/content?variant=${variant}`);
      assert.equal(still.headers.get("content-type"), type);
      assert.ok((await still.bytes()).length > 0);
    }
    const unknown = await request(`/videos/${id}/content?variant=sound`);
    assert.deepEqual([unknown.status, (await unknown.json()).error.param], [400, "variant"]);
  });

  it("makes the same video once: a second request joins it, a later one reads the store", async () => {
    const { pipeline, worker, create, poll } = start();
    await using _worker = worker;
    const fields = { seed: 3, num_frames: 9, fps: 4 };
    const [first, second] = await Promise.all([create(fields), create(fields)]);
    assert.notEqual(first.id, second.id);
    await Promise.all([poll(first.id), poll(second.id)]);
    assert.equal(pipeline.stepsBegun, 4);
    const third = await poll((await create(fields)).id);
    assert.equal(pipeline.stepsBegun, 4);
    assert.equal(third.receipt!.cache, "hit");
    await poll((await create({ ...fields, fps: 8 })).id);
    assert.equal(pipeline.stepsBegun, 8);
  });

  it("remixes a video: the source's model, size, length, seed and settings with another prompt", async () => {
    const { worker, create, poll, client } = start();
    await using _worker = worker;
    const settings = {
      seconds: "1",
      fps: 4,
      size: "32x16",
      steps: 3,
      true_cfg_scale: 2,
      output_format: "webp",
    };
    const source = await poll((await create({ ...settings, model: "videos" })).id);
    const made = await client.videos.remix(source.id, { prompt: "y" }) as OpenAI.Video & Extended;
    assert.deepEqual([made.prompt, made.remixed_from_video_id, source.remixed_from_video_id], [
      "y",
      source.id,
      null,
    ]);
    assert.notEqual(made.id, source.id);
    const remix = await poll(made.id);
    const facts = (
      { model, seed, seconds, size, num_frames, fps, output_format, receipt }: typeof source,
    ) => ({
      ...{ model, seed, seconds, size, num_frames, fps, output_format },
      full_steps: receipt!.full_steps,
    });
    assert.deepEqual(facts(remix), facts(source));
    // A remix is a video like any other.
    const again = await poll((await client.videos.remix(remix.id, { prompt: "x" })).id);
    assert.equal(again.receipt!.cache, "hit");
    assert.equal(again.remixed_from_video_id, remix.id);

    await assert.rejects(client.videos.remix("video_1", { prompt: "y" }), refused(404));
    await assert.rejects(client.videos.remix(source.id, { prompt: "" }), refused(400, "prompt"));
    const longer = { prompt: "y", seconds: "8" } as OpenAI.VideoRemixParams;
    await assert.rejects(client.videos.remix(source.id, longer), /seconds/);
  });

  it("remixes no video that is not finished", async () => {
    const { worker, create, client } = start({ beforeStep: () => new Promise(() => {}) });
    await using _worker = worker;
    const { id } = await create({ seed: 1 });
    await assert.rejects(client.videos.remix(id, { prompt: "y" }), /its status must be completed, but is/);
    await client.videos.delete(id);
  });

  it("pages through videos in either order", async () => {
    const { worker, create, client } = start();
    await using _worker = worker;
    const ids: string[] = [];
    for (let seed = 0; seed < 5; seed++) {
      ids.push((await create({ seed })).id);
      // The order is that of creation, by milliseconds.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const listed: string[] = [];
    for await (const { id } of client.videos.list({ limit: 2 })) listed.push(id);
    assert.deepEqual(listed, ids.toReversed());
    const page = await client.videos.list({ limit: 2, order: "asc", after: ids[1]! });
    assert.deepEqual([page.data.map(({ id }) => id), page.has_more], [[ids[2], ids[3]], true]);
  });

  it("deletes a video and cancels its run within a step", async () => {
    const waiting = Promise.withResolvers<void>();
    const { pipeline, worker, create, client } = start({
      beforeStep: () => {
        waiting.resolve();
        return new Promise(() => {});
      },
    });
    await using _worker = worker;
    const { id } = await create({ seed: 1 });
    await waiting.promise;
    await assert.rejects(client.videos.downloadContent(id), refused(400));
    assert.deepEqual(await client.videos.delete(id), { id, object: "video.deleted", deleted: true });
    await assert.rejects(client.videos.retrieve(id), refused(404));
    await until(() => !worker.queue.busy);
    assert.equal(pipeline.stepsBegun, 1);
  });

  it("events tell of steps and show previews, and can be taken up again", async () => {
    const { worker, request, create } = start();
    await using _worker = worker;
    const { id } = await create({ seed: 5, partial_images: 2, spectrum: JSON.stringify({ method: "none" }) });
    const stream = await (await request(`/videos/${id}/events`)).text();
    const events = [...stream.matchAll(/^event: (.+)$/gm)].map(([, name]) => name);
    assert.equal(events.filter((name) => name === "video.progress").length, 4);
    assert.equal(events.filter((name) => name === "video.partial_image").length, 2);
    assert.equal(events.at(-1), "video.completed");
    const last = JSON.parse(
      /^data: (.+)$/m.exec(stream.slice(stream.indexOf("event: video.completed")))![1]!,
    );
    assert.deepEqual([last.video.id, last.video.status], [id, "completed"]);
    const ids = [...stream.matchAll(/^id: (\d+)$/gm)].map(([, id]) => id!);
    const rest = await request(`/videos/${id}/events`, { headers: { "last-event-id": ids.at(-2)! } });
    assert.deepEqual([...(await rest.text()).matchAll(/^event: (.+)$/gm)].map(([, name]) => name), [
      "video.completed",
    ]);
    const over = await request(`/videos/${id}/events`, { headers: { "last-event-id": ids.at(-1)! } });
    assert.equal(over.status, 204);
  });

  it("refuses impossible requests by name", async () => {
    const { worker, create, client, post } = start();
    await using _worker = worker;
    assert.equal((await post({ prompt: "half a dog \ud83d", user: "\ud83d", seed: 1 })).status, 200);
    await assert.rejects(create({ prompt: "" }), refused(400, "prompt"));
    await assert.rejects(create({ seconds: "12" }), refused(400, "seconds"));
    await assert.rejects(create({ num_frames: 6 }), refused(400, "num_frames"));
    await assert.rejects(create({ size: "17x16" }), refused(400, "size"));
    await assert.rejects(create({ model: "fake" }), refused(400, "output_format"));
    await assert.rejects(create({ model: "none" }), refused(404, "model"));
    await assert.rejects(create({ sound: "on" }), refused(400));
    const reference = await OpenAI.toFile(new Uint8Array([1]), "a.png", { type: "image/png" });
    await assert.rejects(create({ input_reference: reference }), refused(400, "input_reference"));
    await assert.rejects(client.videos.retrieve("video_0"), refused(404));
    assert.equal((await post({ seconds: 4, seed: 1 })).status, 200);
  });
});
