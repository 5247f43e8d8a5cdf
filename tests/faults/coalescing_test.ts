// Two edges, one worker, a real Redis: equal requests make one run, different ones queue in order.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { WITHOUT_REDIS } from "../service/redis.ts";
import { readMetric, untilIdle } from "../service/service.ts";
import { type Cluster, seedsOf, startCluster } from "./cluster.ts";
import { generate, post, streamed } from "./requests.ts";

const RUNS = "spectrum_runs_total";
const PASSES = "spectrum_passes_total";

describe("coalescing", { skip: WITHOUT_REDIS }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster({ stepMs: 25 });
  });
  after(() => cluster[Symbol.asyncDispose]());
  const edge = (index: number) => cluster.edges[index % 2]!.url;
  /**
   * Runs more than wanted, as a machine under load answers an edge too late: the store then counts as away.
   */
  const madeAgain = () =>
    cluster.edges.flatMap(({ lines }) => lines).filter((line) =>
      /runs are not shared|goes on elsewhere/.test(line)
    )
      .length;
  const worker = () => cluster.workers[0]!.url;

  it("1,000 identical requests at once through two edges make one run and get the same bytes", async () => {
    // Each edge has asked once whether there are keys.
    await Promise.all([0, 1].map((index) => generate(edge(index), { seed: index, steps: 1 })));
    const [runs, passes] = [await readMetric(worker(), RUNS), await readMetric(worker(), PASSES)];
    const startedAt = performance.now();
    const answers = await Promise.all(
      Array.from({ length: 1000 }, (_, index) => generate(edge(index), { seed: 2, steps: 40 })),
    );
    console.log(`1,000 answers in ${Math.round(performance.now() - startedAt)} ms`);
    const refused = answers.filter(({ status }) => status !== 200);
    assert.deepEqual(refused.map(({ status, body }) => [status, body.error]), []);
    assert.equal(new Set(answers.map(({ picture }) => picture!.b64_json)).size, 1);
    const made = await readMetric(worker(), RUNS) - runs;
    assert.ok(made >= 1 && made <= 1 + madeAgain(), `${made} runs`);
    assert.equal(await readMetric(worker(), PASSES), passes + 40 * made);
    const caches = Map.groupBy(answers, ({ headers }) => headers.get("x-spectrum-cache")!);
    assert.equal(caches.get("miss")?.length, made);
    assert.equal(new Set(answers.map(({ headers }) => headers.get("x-spectrum-key"))).size, 1);
  });

  it("200 distinct requests queue in order and learn their positions", async () => {
    const runs = await readMetric(worker(), RUNS);
    let finished = 0;
    const positions = new Map<number, number[]>();
    const follow = async (seed: number, response: Response) => {
      positions.set(seed, []);
      for await (const { type, data } of streamed(response)) {
        if (type === "image_generation.queued") positions.get(seed)!.push(data.position);
        if (type === "image_generation.completed") finished++;
      }
    };
    const following: Promise<void>[] = [];
    // Keeps the device while the others come, however long that takes.
    const first = await post(edge(0), { prompt: "hold", seed: 999, steps: 1, stream: true });
    const startedAt = performance.now();
    for (let seed = 1000; seed < 1200; seed++) {
      // One after the other: the order they are to be served in.
      const fields = { seed, steps: 1, stream: true, progress: true };
      following.push(follow(seed, await post(edge(seed), fields)));
    }
    console.log(`200 accepted in ${Math.round(performance.now() - startedAt)} ms`);
    await first.body!.cancel();
    await Promise.all(following);
    assert.equal(finished, 200);
    assert.deepEqual(seedsOf(cluster.workers[0]!).filter((seed) => seed >= 1000), [...positions.keys()]);
    for (const [seed, seen] of positions) {
      assert.deepEqual(seen, seen.toSorted((a, b) => b - a), `seed ${seed}`);
    }
    assert.deepEqual(
      [...positions.values()].map((seen) => seen[0]),
      Array.from({ length: 200 }, (_, i) => i + 1),
    );
    const made = await readMetric(worker(), RUNS) - runs;
    assert.ok(made >= 201 && made <= 201 + madeAgain(), `${made} runs`);
  });

  it("a run goes on while any edge has a viewer, and ends once the last one leaves", async () => {
    await untilIdle(worker());
    const passes = await readMetric(worker(), PASSES);
    const fields = { seed: 3, steps: 1000, stream: true, progress: true };
    const viewers = await Promise.all([0, 1].map((index) => post(edge(index), fields)));
    const [first, second] = viewers.map(streamed);
    for (const viewer of [first!, second!]) {
      for (let seen = 0; seen < 3;) if ((await viewer.next()).value.type.endsWith("progress")) seen++;
    }
    await first!.return(undefined);
    for (let seen = 0; seen < 20; seen++) await second!.next();
    assert.equal(await readMetric(worker(), "spectrum_running"), 1);
    await second!.return(undefined);
    const left = await readMetric(worker(), PASSES);
    await untilIdle(worker());
    const ran = await readMetric(worker(), PASSES);
    console.log(`${ran - left} steps after the last viewer left, of ${ran - passes}`);
    // Of a thousand. Some ran while the news travelled: client, edge, store, worker.
    assert.ok(ran - left <= 400, `${ran - left} steps`);
  });
});
