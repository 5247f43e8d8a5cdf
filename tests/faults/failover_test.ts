// Two edges, two workers, a real Redis, and one of them killed with -9 in mid-run.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import sharp from "sharp";
import { WITHOUT_REDIS } from "../service/redis.ts";
import { readMetric, untilIdle } from "../service/service.ts";
import { type Cluster, type Node, seedsOf, startCluster } from "./cluster.ts";
import { generate, post, streamed, type StreamedEvent } from "./requests.ts";
import { until } from "../until.ts";

const STEPS = 40;
const LONG = { steps: STEPS, stream: true, progress: true, partial_images: 2, spectrum: { method: "none" } };

/** Events of `events` until `enough` of them, and whether the stream broke off. */
async function read(
  events: AsyncGenerator<StreamedEvent>,
  enough: (seen: StreamedEvent[]) => boolean = () => false,
): Promise<StreamedEvent[]> {
  const seen: StreamedEvent[] = [];
  try {
    // Not for-await: the stream is to stay open.
    while (!enough(seen)) {
      const { done, value } = await events.next();
      if (done) break;
      seen.push(value);
    }
  } catch {
    // The edge behind it has died.
  }
  return seen;
}

const stepsOf = (events: StreamedEvent[]) =>
  events.filter(({ type }) => type.endsWith("progress")).map(({ data }) => data.step_index);
const typesOf = (events: StreamedEvent[]) => events.map(({ type }) => type.replace("image_generation.", ""));

describe("failover", { skip: WITHOUT_REDIS }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster({ workers: 2, edges: 3, stepMs: 40 });
  });
  after(() => cluster[Symbol.asyncDispose]());
  const passes = async () => {
    let sum = 0;
    for (const { url } of cluster.workers) {
      sum += await readMetric(url, "spectrum_passes_total").catch(() => 0);
    }
    return sum;
  };

  it("another edge continues the stream of a killed edge without gap or duplicate", async () => {
    const [dying, other] = cluster.edges as [Node, Node];
    const before = await passes();
    // Without a seed: nothing but the job's id finds it again.
    const response = await post(dying.url, LONG);
    const job = response.headers.get("x-spectrum-job")!;
    const events = streamed(response);
    const first = await read(events, (seen) => stepsOf(seen).length === 10);
    await dying.kill();
    first.push(...await read(events));
    const last = first.at(-1)!.id!;
    const resumed = await fetch(`${other.url}/v1/jobs/${job}/events`, { headers: { "last-event-id": last } });
    const rest = await read(streamed(resumed));
    assert.deepEqual(stepsOf([...first, ...rest]), Array.from({ length: STEPS }, (_, i) => i));
    const ids = [...first, ...rest].map(({ id }) => Number(id));
    assert.deepEqual(ids, ids.toSorted((a, b) => a - b));
    assert.equal(new Set(ids).size, ids.length);
    assert.equal(rest.at(-1)!.type, "image_generation.completed");
    assert.equal(await passes() - before, STEPS);
    const again = { headers: { "last-event-id": rest.at(-1)!.id! } };
    assert.equal((await fetch(`${other.url}/v1/jobs/${job}/events`, again)).status, 204);
  });

  it("another worker repeats the run of a killed worker once, and the stream says so", async () => {
    const edge = cluster.edges[1]!;
    const events = streamed(await post(edge.url, { ...LONG, seed: 77 }));
    // Another viewer, elsewhere, for whom the same holds.
    const viewer = streamed(await post(cluster.edges[2]!.url, { ...LONG, seed: 77 }));
    const first = await read(events, (seen) => stepsOf(seen).length === 10);
    const index = cluster.workers.findIndex((worker) => seedsOf(worker).includes(77));
    await cluster.workers[index]!.kill();
    const startedAt = performance.now();
    const [mine, theirs] = await Promise.all([read(events), read(viewer)]);
    console.log(`made elsewhere ${Math.round(performance.now() - startedAt)} ms after the death`);
    for (const seen of [[...first, ...mine], theirs]) {
      const types = typesOf(seen);
      assert.equal(types.filter((type) => type === "restarted").length, 1);
      assert.equal(types.at(-1), "completed");
      const restart = types.indexOf("restarted");
      assert.deepEqual(stepsOf(seen.slice(restart)), Array.from({ length: STEPS }, (_, i) => i));
      assert.equal(seen.at(-1)!.data.receipt.worker, `worker-${2 - index}`);
    }
    assert.equal(mine.at(-1)!.data.b64_json, theirs.at(-1)!.data.b64_json);
    // And whoever comes then is served by who is left.
    assert.equal((await generate(edge.url, { seed: 78, steps: 1 })).status, 200);
  });

  it("runs end well while Redis is down, and share the cache again once Redis is back", async () => {
    const [, edge, other] = cluster.edges as [Node, Node, Node];
    const events = streamed(await post(edge.url, { ...LONG, seed: 5 }));
    const first = await read(events, (seen) => stepsOf(seen).length === 5);
    await cluster.redis!.kill();
    const startedAt = performance.now();
    const uncached = await generate(edge.url, { seed: 6, steps: 1 });
    const took = performance.now() - startedAt;
    assert.equal(uncached.status, 200);
    const rest = await read(events);
    assert.deepEqual(stepsOf([...first, ...rest]), Array.from({ length: STEPS }, (_, i) => i));
    assert.equal(rest.at(-1)!.type, "image_generation.completed");
    console.log(`first answer without Redis after ${Math.round(took)} ms`);
    const readiness = async () => {
      const response = await fetch(`${edge.url}/readyz`);
      return [response.status, (await response.json()).status];
    };
    assert.deepEqual(await readiness(), [200, "degraded"]);
    await cluster.redis!.restart();
    await until(async () => (await readiness())[1] === "ready");
    const made = await generate(edge.url, { seed: 8, steps: 1 });
    assert.equal(made.headers.get("x-spectrum-cache"), "miss");
    // Each edge finds out by itself, a second after its last failure.
    await generate(other.url, { seed: 8, steps: 1 });
    const cached = { headers: { "cache-control": "only-if-cached" } };
    const found = await until(async () => {
      const answer = await generate(other.url, { seed: 8, steps: 1 }, cached);
      return answer.headers.get("x-spectrum-cache") === "hit" && answer;
    });
    assert.equal(found.picture!.b64_json, made.picture!.b64_json);
    for (const worker of cluster.workers) await untilIdle(worker.url).catch(() => {});
  });
});

describe("failover of an edit in a mask", { skip: WITHOUT_REDIS }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster({ workers: 2, edges: 2, stepMs: 40 });
  });
  after(() => cluster[Symbol.asyncDispose]());

  it("is made by the other worker, handed over by the other edge, from the files in Redis", async () => {
    const [dying, other] = cluster.edges as [Node, Node];
    const pixels = (alpha: number) =>
      sharp({ create: { width: 16, height: 16, channels: 4, background: { r: 9, g: 9, b: 9, alpha } } });
    const form = new FormData();
    for (const [name, alpha] of [["image", 1], ["mask", 0]] as const) {
      form.append(name, new File([new Uint8Array(await pixels(alpha).png().toBuffer())], `${name}.png`));
    }
    const fields = { prompt: "x", seed: "91", steps: String(STEPS), strength: "1", background: "true" };
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    form.append("spectrum", '{"method": "none"}');
    const accepted = await fetch(`${dying.url}/v1/images/edits`, { method: "POST", body: form });
    assert.equal(accepted.status, 202);
    const { id } = await accepted.json();
    const events = streamed(await fetch(`${other.url}/v1/jobs/${id}/events`));
    const first = await read(events, (seen) => stepsOf(seen).length === 5);
    const maker = cluster.workers.find((worker) => seedsOf(worker).includes(91))!;
    await Promise.all([dying.kill(), maker.kill()]);
    const rest = await read(events);
    const types = [...first, ...rest].map(({ type }) => type.replace("image_edit.", ""));
    assert.equal(types.filter((type) => type === "restarted").length, 1);
    assert.equal(types.at(-1), "completed");
    const { receipt } = rest.at(-1)!.data;
    assert.equal(receipt.options.mask_mode, "alpha");
    assert.equal(receipt.worker, `worker-${2 - cluster.workers.indexOf(maker)}`);
  });
});
