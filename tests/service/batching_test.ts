// Requests that wait together are made together.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import sharp from "sharp";
import { RealWorker } from "./real_worker.ts";
import { readMetric } from "./service.ts";

async function pixelsOf(base64: string): Promise<Uint8Array> {
  return new Uint8Array(await sharp(Uint8Array.fromBase64(base64)).raw().toBuffer());
}

describe("worker --max-batch", () => {
  let worker: RealWorker;
  before(async () => {
    worker = await RealWorker.start(["--max-batch", "3"]);
  });
  after(() => worker[Symbol.asyncDispose]());

  it("draws each request's own picture in a batch, reports it, and survives a cancellation", async () => {
    // Full steps, so that the batch is under way still when the cancellation arrives.
    const full = { spectrum: { method: "none" as const } };
    const alone = await worker.last((await worker.submit(1, { ...full, steps: 150 })).id);
    const long = await worker.submit(9, { ...full, steps: 1000 });
    const runs = [
      await worker.submit(1, { ...full, steps: 150 }),
      await worker.submit(2, { ...full, steps: 150, previews: 2 }),
      await worker.submit(3, { ...full, steps: 150 }),
      await worker.submit(4, { ...full, steps: 150 }),
    ];
    const cancelled = worker.last(
      runs[2]!.id,
      ({ type }) => type === "step" && worker.client.cancel(runs[2]!.id),
    );
    await worker.client.cancel(long.id);
    const [first, second, fourth] = await Promise.all([0, 1, 3].map((i) => worker.follow(runs[i]!.id)));
    const ends = [first, second, fourth].map((events) => events!.at(-1)!);
    assert.ok(alone.type === "completed");
    const batches = [alone, ...ends].map((end) => end.type === "completed" && end.receipt.batch);
    assert.deepEqual(batches, [undefined, 3, 3, undefined]);
    assert.ok(ends[0]!.type === "completed");
    // Matrix products of other heights round differently: a value on the edge between two levels
    // may fall on either side.
    const [together, apart] = [await pixelsOf(ends[0]!.b64_json), await pixelsOf(alone.b64_json)];
    assert.ok(apart.every((value, i) => Math.abs(value - together[i]!) <= 1));
    assert.equal(second!.filter(({ type }) => type === "preview").length, 2);
    assert.equal((await cancelled).type, "cancelled");
    assert.equal(await readMetric(worker.url, "spectrum_run_batch_size_count"), 4);
    assert.equal(await readMetric(worker.url, "spectrum_run_batch_size_sum"), 8);
  });
});
