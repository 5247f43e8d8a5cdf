// Two edges and one store; the clock of one edge is ten minutes ahead.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { WITHOUT_REDIS } from "../service/redis.ts";
import { until } from "../until.ts";
import { type Cluster, type Node, startCluster } from "./cluster.ts";
import { generate, post } from "./requests.ts";

const AHEAD_MS = 600_000;
const SECRET = "s".repeat(40);

describe("an edge whose clock is ten minutes ahead", { skip: WITHOUT_REDIS }, () => {
  let cluster: Cluster;
  let ahead: Node;
  let right: Node;
  const told = new Map<string, string[]>();
  const stop = new AbortController();
  let hook: string;
  before(async () => {
    const { signal } = stop;
    const receiver = Deno.serve(
      { hostname: "127.0.0.1", port: 0, signal, onListen() {} },
      async (request) => {
        const { type, data } = await request.json();
        told.set(data.id, [...told.get(data.id) ?? [], type]);
        return new Response();
      },
    );
    const origin = `http://127.0.0.1:${receiver.addr.port}`;
    hook = `${origin}/hook`;
    cluster = await startCluster({
      edges: 0,
      stepMs: 5,
      env: {
        SPECTRUM_URL_SECRET: "u".repeat(40),
        SPECTRUM_WEBHOOK_SECRET: `whsec_${new Uint8Array(24).toBase64()}`,
        SPECTRUM_WEBHOOK_ORIGINS: origin,
      },
    });
    ahead = await cluster.startEdge({ aheadMs: AHEAD_MS });
    right = await cluster.startEdge();
  });
  after(async () => {
    stop.abort();
    await cluster[Symbol.asyncDispose]();
  });

  it("is ahead", async () => {
    const { body } = await generate(ahead.url, { steps: 1 });
    assert.ok(body.created * 1000 - Date.now() > AHEAD_MS - 60_000);
  });

  it("tells the webhooks of its own and the other edge's jobs at once", async () => {
    const ids = await Promise.all([ahead, right, ahead, right].map(async ({ url }, index) => {
      const answer = await post(url, { steps: 4, seed: index, background: true, webhook: hook });
      assert.equal(answer.status, 202);
      return (await answer.json()).id as string;
    }));
    // A job that waits for the wrong clock is told ten minutes late.
    await until(() => Promise.resolve(ids.every((id) => told.has(id))), { within: 40_000 });
    for (const id of ids) assert.deepEqual(told.get(id), ["job.completed"]);
  });

  it("and the others take each other's addresses of pictures", async () => {
    for (const [maker, server] of [[ahead, right], [right, ahead]] as const) {
      const { picture } = await generate(maker.url, { steps: 1, seed: 9, response_format: "url" });
      const { pathname, search } = new URL((picture as unknown as { url: string }).url);
      const answer = await fetch(`${server.url}${pathname}${search}`);
      assert.equal(answer.status, 200);
      await answer.body?.cancel();
    }
  });

  it("shares stored results with the other edges in both directions", async () => {
    for (const [index, [maker, finder]] of [[ahead, right], [right, ahead]].entries()) {
      const fields = { steps: 2, seed: 100 + index };
      await generate(maker!.url, fields);
      assert.equal((await generate(finder!.url, fields)).headers.get("x-spectrum-cache"), "hit");
    }
  });

  it("is refused by a worker with a secret, and its log says why", async () => {
    await using other = await startCluster({ edges: 0, redis: false, workers: 0 });
    await other.startWorker({ env: { SPECTRUM_WORKER_SECRET: SECRET } });
    const edge = await other.startEdge({ aheadMs: AHEAD_MS, env: { SPECTRUM_WORKER_SECRET: SECRET } });
    const { status, body } = await generate(edge.url, { steps: 1 });
    assert.deepEqual([status, body.error.code], [503, "worker_unavailable"]);
    await until(() => Promise.resolve(edge.lines.some((line) => /clock|older, or newer/.test(line))));
  });
});
