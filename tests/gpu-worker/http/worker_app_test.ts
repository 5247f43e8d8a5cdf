import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import type { RunEvent } from "../../../protocol/wire/run_event.ts";
import { ApiError } from "../../../protocol/wire/api_error.ts";
import { WorkerClient } from "../../../routes/runs/worker_client.ts";
import { FakeClock } from "../../protocol/process/fake_clock.ts";
import { FakePipeline } from "./fake_pipeline.ts";
import { startTestWorker } from "./test_worker.ts";
import { until } from "../../until.ts";

const RUN = { model: "fake", prompt: "x", seed: 7 };
const forever = () => new Promise<void>(() => {});

/** Returns a gate that the test opens step by step. */
function gate() {
  let open: () => void = () => {};
  let waiting = Promise.withResolvers<void>();
  return {
    beforeStep: () => {
      waiting.resolve();
      return new Promise<void>((resolve) => (open = resolve));
    },
    /** Resolves once a step waits. */
    async reached() {
      await waiting.promise;
    },
    pass() {
      waiting = Promise.withResolvers();
      open();
    },
  };
}

async function eventsOf(client: WorkerClient, id: string, after = 0): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  const { signal } = new AbortController();
  for await (const { event } of client.events(id, { after, signal })) events.push(event);
  return events;
}

describe("createWorkerApp()", () => {
  it("POST /runs makes a picture whose events tell all", async () => {
    await using worker = startTestWorker([new FakePipeline()]);
    const client = new WorkerClient({ url: worker.url });
    const { id, position } = await client.submit({ ...RUN, previews: 2, spectrum: { method: "none" } });
    assert.equal(position, 0);
    const events = await eventsOf(client, id);
    assert.deepEqual(events.map(({ type }) => type).filter((type) => type !== "preview"), [
      "queued",
      "started",
      "step",
      "step",
      "step",
      "step",
      "completed",
    ]);
    assert.equal(events.filter(({ type }) => type === "preview").length, 2);
    const completed = events.at(-1)!;
    assert.ok(completed.type === "completed");
    assert.equal(completed.receipt.seed, 7);
    assert.deepEqual(completed.receipt.full_steps, [0, 1, 2, 3]);
    assert.equal(completed.image_tokens, 4);
    assert.deepEqual([...Uint8Array.fromBase64(completed.b64_json).subarray(1, 4)], [
      ...new TextEncoder().encode("PNG"),
    ]);
  });

  it("POST /runs makes a video, its stills and a receipt that tells its length", async () => {
    await using worker = startTestWorker([new FakePipeline({ id: "videos", video: true })]);
    const client = new WorkerClient({ url: worker.url });
    const run = { model: "videos", prompt: "x", seed: 7, output_format: "mp4", fps: 12, seconds: 1 } as const;
    const { id } = await client.submit({ ...run, previews: 1 });
    const events = await eventsOf(client, id);
    const completed = events.at(-1)!;
    assert.ok(completed.type === "completed");
    assert.deepEqual([completed.receipt.num_frames, completed.receipt.fps], [13, 12]);
    const starts = [completed.b64_json, completed.stills!.thumbnail, completed.stills!.spritesheet]
      .map((base64) => new TextDecoder("latin1").decode(Uint8Array.fromBase64(base64).subarray(0, 12)));
    assert.match(starts[0]!, /ftyp/);
    assert.match(starts[1]!, /^RIFF.*WEBP/s);
    assert.match(starts[2]!, /^\xff\xd8\xff/);
    const preview = events.find(({ type }) => type === "preview");
    assert.ok(preview?.type === "preview" && atob(preview.b64_json).startsWith("RIFF"));
    assert.deepEqual((await client.models())[0]!.video, { frame_step: 4, max_frames: 65 });
  });

  it("GET /models tells all of a model before anything is loaded", async () => {
    await using worker = startTestWorker([
      new FakePipeline(),
      new FakePipeline({ id: "videos", video: true }),
    ]);
    const [pictures, videos] = await new WorkerClient({ url: worker.url }).models();
    assert.deepEqual([pictures!.loaded, videos!.loaded], [false, false]);
    assert.deepEqual([pictures!.defaults.steps, videos!.defaults.num_frames], [4, 5]);
    const limits = { size_multiple: 8, max_side: 4096, max_pixels: 1024, max_sequence_length: 16 };
    assert.deepEqual(pictures!.limits, limits);
    assert.deepEqual(pictures!.start_image, {
      strength: 0.5,
      mask_strength: 0.5,
      partial_step: "run",
    });
    assert.deepEqual(videos!.video, { frame_step: 4, max_frames: 65 });
    assert.equal(pictures!.video ?? videos!.start_image, undefined);
  });

  it("a request for another model waits for its turn before that model is loaded", async () => {
    const steps = gate();
    const pipelines = [new FakePipeline({ id: "a", ...steps }), new FakePipeline({ id: "b" })];
    await using worker = startTestWorker(pipelines, { maxLoaded: 1 });
    const client = new WorkerClient({ url: worker.url });
    const loaded = async () => (await client.models()).filter(({ loaded }) => loaded).map(({ id }) => id);
    const first = await client.submit({ ...RUN, model: "a", steps: 1 });
    await steps.reached();
    const second = await client.submit({ ...RUN, model: "b", steps: 1 });
    assert.equal(second.position, 1);
    await assert.rejects(client.complete({ ...RUN, model: "b", width: 12 }), /'width'/);
    assert.deepEqual(await loaded(), ["a"]);
    steps.pass();
    assert.equal((await eventsOf(client, first.id)).at(-1)?.type, "completed");
    assert.equal((await eventsOf(client, second.id)).at(-1)?.type, "completed");
    assert.deepEqual(await loaded(), ["b"]);
  });

  it("refuses file formats that cannot hold the model's output", async () => {
    await using worker = startTestWorker([
      new FakePipeline(),
      new FakePipeline({ id: "videos", video: true }),
    ]);
    const client = new WorkerClient({ url: worker.url });
    const refused = (run: object, message: RegExp) =>
      assert.rejects(
        client.submit({ ...RUN, ...run }),
        (error) => error instanceof ApiError && error.status === 400 && message.test(error.message),
      );
    await refused({ output_format: "mp4" }, /'output_format' must be png, jpeg or webp/);
    await refused(
      { model: "videos", output_format: "png" },
      /'output_format' must be mp4, webp or gif .*\/v1\/videos/,
    );
    await refused({ num_frames: 5 }, /'num_frames' must be 1/);
    await refused(
      { model: "videos", output_format: "gif", num_frames: 6 },
      /'num_frames' must be a multiple of 4 plus 1/,
    );
  });

  it("GET /runs/{id}/events replays from Last-Event-ID, for any number of followers", async () => {
    await using worker = startTestWorker([new FakePipeline()]);
    const client = new WorkerClient({ url: worker.url });
    const { id } = await client.submit(RUN);
    const [first, second] = await Promise.all([eventsOf(client, id), eventsOf(client, id)]);
    assert.deepEqual(first, second);
    assert.deepEqual(await eventsOf(client, id, 3), first.slice(3));
    assert.deepEqual(await eventsOf(client, id, first.length), []);
  });

  it("queued runs see their positions, and a full queue refuses", async () => {
    const steps = gate();
    await using worker = startTestWorker([new FakePipeline(steps)], { capacity: 2 });
    const client = new WorkerClient({ url: worker.url });
    const first = await client.submit({ ...RUN, steps: 1 });
    await steps.reached();
    const second = await client.submit({ ...RUN, steps: 1 });
    const third = await client.submit({ ...RUN, steps: 1 });
    assert.deepEqual([first.position, second.position, third.position], [0, 1, 2]);
    await assert.rejects(client.submit(RUN), (error) => {
      assert.ok(error instanceof ApiError);
      assert.deepEqual([error.status, error.code, error.retryAfter], [429, "queue_full", 2]);
      return true;
    });
    for (let run = 0; run < 3; run++) {
      await steps.reached();
      steps.pass();
    }
    const positions = (await eventsOf(client, third.id)).flatMap((event) =>
      event.type === "queued" ? [event.position] : []
    );
    // Position 1 comes at most twice: when the second run begins, and when the first has ended.
    assert.deepEqual([...new Set(positions)], [2, 1]);
  });

  it("DELETE /runs/{id} ends a run before its next step, and the device goes on with others", async () => {
    const steps = gate();
    const pipeline = new FakePipeline(steps);
    await using worker = startTestWorker([pipeline]);
    const client = new WorkerClient({ url: worker.url });
    const { id } = await client.submit(RUN);
    await steps.reached();
    await client.cancel(id);
    steps.pass();
    assert.deepEqual((await eventsOf(client, id)).at(-1), { type: "cancelled", reason: "requested" });
    assert.equal(pipeline.stepsBegun, 1);

    const next = await client.submit({ ...RUN, steps: 1 });
    await steps.reached();
    steps.pass();
    assert.equal((await eventsOf(client, next.id)).at(-1)?.type, "completed");
  });

  it("DELETE /runs/{id} takes a waiting run from the queue at once", async () => {
    const steps = gate();
    await using worker = startTestWorker([new FakePipeline(steps)]);
    const client = new WorkerClient({ url: worker.url });
    const first = await client.submit({ ...RUN, steps: 1 });
    const waiting = await client.submit(RUN);
    await client.cancel(waiting.id);
    assert.deepEqual((await eventsOf(client, waiting.id)).at(-1), { type: "cancelled", reason: "requested" });
    await steps.reached();
    steps.pass();
    assert.equal((await eventsOf(client, first.id)).at(-1)?.type, "completed");
  });

  it("cancels a run that nobody follows and no other run", async () => {
    const steps = gate();
    const clock = new FakeClock();
    await using worker = startTestWorker([new FakePipeline(steps)], { unwatchedMs: 1000, clock });
    const client = new WorkerClient({ url: worker.url });
    const { id } = await client.submit(RUN);
    const viewer = new AbortController();
    const reading = (async () => {
      for await (const _ of client.events(id, { after: 0, signal: viewer.signal }));
    })();
    await steps.reached();
    const { signal } = worker.queue.get(id);
    // The follower's connection has arrived.
    await until(() => clock.waiting === 0);
    clock.advance(60_000);
    assert.equal(signal.aborted, false);
    viewer.abort();
    await assert.rejects(reading);
    // The worker notices it by the closed connection.
    await until(() => clock.waiting > 0);
    clock.advance(999);
    assert.equal(signal.aborted, false);
    clock.advance(1);
    assert.equal(signal.reason, "unwatched");
    steps.pass();
  });

  it("hides a pipeline's failure from the client and writes it to the log", async () => {
    const pipeline = new FakePipeline({
      beforeStep: () => {
        throw new Error("secret: /root/models/x");
      },
    });
    await using worker = startTestWorker([pipeline]);
    const client = new WorkerClient({ url: worker.url });
    const { id } = await client.submit(RUN);
    const failed = (await eventsOf(client, id)).at(-1)!;
    assert.ok(failed.type === "failed" && failed.status === 500);
    assert.doesNotMatch(JSON.stringify(failed), /secret/);
    assert.match(JSON.stringify(worker.logged), /secret/);
  });

  it("HEAD of events answers with headers and follows no run", async () => {
    const clock = new FakeClock();
    await using worker = startTestWorker([new FakePipeline({ beforeStep: forever })], { clock });
    const client = new WorkerClient({ url: worker.url });
    const { id } = await client.submit(RUN);
    const head = await fetch(`${worker.url}/runs/${id}/events`, { method: "HEAD" });
    assert.deepEqual([head.status, head.headers.get("content-type")], [200, "text/event-stream"]);
    clock.advance(10_000);
    await until(() => !worker.queue.busy);
    const events = await eventsOf(client, id);
    assert.deepEqual(events.at(-1), { type: "cancelled", reason: "unwatched" });
  });

  it("complete() refusals come before the queue, with the client's names", async () => {
    await using worker = startTestWorker([new FakePipeline()]);
    const client = new WorkerClient({ url: worker.url });
    const cases: [object, string][] = [
      [{ width: 12 }, "size"],
      [{ spectrum: { m: 900 } }, "spectrum.m"],
      [{ guidance_scale: 3 }, "guidance_scale"],
      [{ negative_prompt: "y" }, "negative_prompt"],
    ];
    for (const [fields, param] of cases) {
      await assert.rejects(client.submit({ ...RUN, ...fields }), (error) => {
        assert.ok(error instanceof ApiError);
        assert.deepEqual([error.status, error.param], [400, param]);
        return true;
      });
    }
    await assert.rejects(
      client.submit({ ...RUN, model: "other" }),
      (error) => error instanceof ApiError && error.status === 404 && error.code === "model_not_found",
    );
    assert.equal(worker.queue.busy, false);
  });

  it("comments keep an idle stream open", async () => {
    await using worker = startTestWorker([new FakePipeline({ beforeStep: forever })], { heartbeatMs: 10 });
    const client = new WorkerClient({ url: worker.url });
    const { id } = await client.submit(RUN);
    const response = await fetch(`${worker.url}/runs/${id}/events`);
    assert.equal(response.headers.get("x-accel-buffering"), "no");
    assert.match(response.headers.get("cache-control")!, /no-transform/);
    let text = "";
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if ((text.match(/^:$/gm) ?? []).length === 3) break;
    }
    assert.match(text, /^retry: \d+\n/);
    // Some clients take every blank line for the end of an event.
    for (const block of text.split("\n\n").slice(0, -1)) assert.match(block, /^data: /m);
  });

  it("GET /readyz and POST /runs report it while the worker drains", async () => {
    const steps = gate();
    await using worker = startTestWorker([new FakePipeline(steps)]);
    const client = new WorkerClient({ url: worker.url });
    const current = await client.submit({ ...RUN, steps: 1 });
    const waiting = await client.submit(RUN);
    await steps.reached();
    const drained = worker.queue.drain();
    assert.equal(await client.ready(), false);
    await assert.rejects(
      client.submit(RUN),
      (error) => error instanceof ApiError && error.code === "worker_draining",
    );
    assert.deepEqual((await eventsOf(client, waiting.id)).at(-1), { type: "cancelled", reason: "draining" });
    steps.pass();
    await drained;
    assert.equal((await eventsOf(client, current.id)).at(-1)?.type, "completed");
  });
});
