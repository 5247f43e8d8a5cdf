// A store that is there and does not answer, or breaks every connection in the middle of a call: Redis
// itself, or the REST interface before it. Two edges, a worker, a real redis-server, and proxies in between.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { WITHOUT_REDIS } from "../service/redis.ts";
import { untilIdle } from "../service/service.ts";
import { drawTestKey } from "../routes/keys/key.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { generate, post, streamed, type StreamedEvent } from "./requests.ts";
import { until } from "../until.ts";

const STEPS = 40;
/** A text that no log may contain. */
const PROMPT = "a secret prompt";
/**
 * Open connections to the store that are none too many: two edges and a worker with a few calls at once each.
 */
const MAX_CONNECTIONS = 40;

describe("a store that falls silent", { skip: WITHOUT_REDIS }, () => {
  let cluster: Cluster;
  let headers: Record<string, string>;
  /** A key that edges have not seen before the store was away. */
  let unseen: Record<string, string>;
  let seed = 1;

  const edge = (index = 0) => cluster.edges[index]!.url;
  const ask = async (
    path: string,
    { index = 0, key = headers }: { index?: number; key?: typeof headers } = {},
  ) => {
    const response = await fetch(edge(index) + path, { headers: key });
    const text = await response.text();
    const body = text.startsWith("{") ? JSON.parse(text) : undefined;
    return { status: response.status, retryAfter: response.headers.get("retry-after"), body, text };
  };
  const make = (fields: Record<string, unknown>, { index = 0, more = {} } = {}) =>
    generate(edge(index), { prompt: PROMPT, steps: 1, ...fields }, { headers: { ...headers, ...more } });
  const finishedJob = async () => {
    const { body } = await make({ seed: seed++, background: true });
    await until(async () => (await ask(`/v1/jobs/${body.id}`)).body.status === "completed");
    return body.id as string;
  };
  const refused = (answer: Awaited<ReturnType<typeof ask>>, code = "store_unavailable") => {
    assert.deepEqual([answer.status, answer.body.error.code], [503, code], answer.text);
    assert.ok(Number(answer.retryAfter) > 0);
  };

  before(async () => {
    cluster = await startCluster({ stepMs: 20, lines: true });
    const keys = await Promise.all(
      [0, 1].map(() => drawTestKey({ scopes: ["admin"], pictures_per_month: 1000 })),
    );
    for (const { record } of keys) {
      await cluster.redis!.redis.hset("spectrum:keys", record.id, JSON.stringify(record));
    }
    [headers, unseen] = [bearer(keys[0]!.key), bearer(keys[1]!.key)];
    // Edges that have never heard of a key serve no other.
    for (const index of [0, 1]) await ask("/v1/models", { index });
  });
  after(() => cluster[Symbol.asyncDispose]());

  for (const line of ["store", "redis"] as const) {
    for (const fault of ["silence", "reset"] as const) {
      it(`${fault} of the ${line}: makes pictures, answers 503 where it needs the store, and recovers`, {
        timeout: 600_000,
      }, async () => {
        const stored = seed++;
        const first = await make({ seed: stored });
        const job = await finishedJob();
        const long = { prompt: PROMPT, seed: seed++, steps: STEPS, stream: true, progress: true };
        const events = streamed(await post(edge(), { ...long, spectrum: { method: "none" } }, { headers }));
        const seen: StreamedEvent[] = [];
        while (seen.filter(isStep).length < 5) seen.push((await events.next()).value);

        cluster.lines![line][fault]();
        const follow = (async () => {
          for await (const event of events) seen.push(event);
        })();
        // At once, as most find out together, and again when it is known.
        for (let round = 0; round < 2; round++) {
          const [made, again, repeated, readiness, metrics, polled, begun, listed, key] = await Promise.all([
            make({ seed: seed++ }),
            make({ seed: stored }),
            make({}, { more: { "idempotency-key": crypto.randomUUID() } }),
            ask("/readyz"),
            ask("/metrics"),
            ask(`/v1/jobs/${job}`),
            fetchJob(),
            ask("/v1/videos"),
            ask("/v1/models", { key: unseen }),
          ]);
          assert.deepEqual([made.status, again.status, repeated.status], [200, 200, 200]);
          assert.equal(again.picture!.b64_json, first.picture!.b64_json);
          assert.deepEqual([readiness.status, readiness.body.status], [200, "degraded"]);
          assert.equal(metrics.status, 200);
          for (const answer of [polled, begun, listed, await ask(`/v1/jobs/${job}/events`)]) refused(answer);
          refused(key, "key_store_unavailable");
        }
        await follow;
        assert.deepEqual(
          seen.filter(isStep).map(({ data }) => data.step_index),
          Array.from({ length: STEPS }, (_, index) => index),
        );
        assert.equal(seen.at(-1)!.type, "image_generation.completed");

        cluster.lines![line].pass();
        for (const index of [0, 1]) {
          await until(async () => (await ask("/readyz", { index })).body.status === "ready");
        }
        const { body } = await ask(`/v1/jobs/${job}`);
        assert.deepEqual([body.status, body.result.data.length], ["completed", 1]);
        const later = await finishedJob();
        assert.equal((await ask(`/v1/jobs/${later}`, { index: 1 })).body.status, "completed");
        const shared = await make({ seed: seed++ });
        const found = await make({ seed: seed - 1 }, { index: 1 });
        assert.equal(found.headers.get("x-spectrum-cache"), "hit");
        assert.equal(found.picture!.b64_json, shared.picture!.b64_json);
        assert.equal((await ask("/v1/models", { key: unseen })).status, 200);
        // For the next round it is to be unseen again.
        unseen = await anotherKey();

        await untilIdle(cluster.workers[0]!.url);
        await until(async () => await cluster.redis!.redis.zcard("spectrum:runs") === 0);
        for (const { open } of Object.values(cluster.lines!)) {
          assert.ok(open <= MAX_CONNECTIONS, `${open} open`);
        }
      });
    }
  }

  it("no log contains a prompt", () => {
    for (const { lines } of [...cluster.edges, ...cluster.workers]) {
      assert.equal(lines.find((line) => line.includes(PROMPT)), undefined);
    }
  });

  async function fetchJob() {
    const fields = { prompt: PROMPT, seed: seed++, background: true };
    const response = await post(edge(), fields, { headers });
    const text = await response.text();
    return {
      status: response.status,
      retryAfter: response.headers.get("retry-after"),
      body: JSON.parse(text),
      text,
    };
  }

  async function anotherKey(): Promise<Record<string, string>> {
    const { key, record } = await drawTestKey({ scopes: ["admin"] });
    await cluster.redis!.redis.hset("spectrum:keys", record.id, JSON.stringify(record));
    return bearer(key);
  }
});

function bearer(key: string): Record<string, string> {
  return { authorization: `Bearer ${key}` };
}

function isStep({ type }: StreamedEvent): boolean {
  return type.endsWith("progress");
}
