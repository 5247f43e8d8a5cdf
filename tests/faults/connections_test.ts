// Clients that read slowly, send nothing, or leave; and what is left of 2,000 requests.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { WITHOUT_REDIS } from "../service/redis.ts";
import { assertFlat, footprint } from "../service/assert_flat.ts";
import { readMetric, untilIdle } from "../service/service.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { generate, post } from "./requests.ts";

/** Requests at once. */
const LANES = 16;

describe("connections", { skip: WITHOUT_REDIS }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster();
  });
  after(() => cluster[Symbol.asyncDispose]());
  const edge = (index = 0) => cluster.edges[index % 2]!.url;
  const worker = () => cluster.workers[0]!.url;

  it("a reader that does not read slows no other reader of its edge", async () => {
    const fields = { seed: 1, steps: 1000, stream: true, progress: true, spectrum: { method: "none" } };
    const slow = await post(edge(), fields);
    const reader = slow.body!.getReader();
    await reader.read();
    const quick = await (await post(edge(), fields)).text();
    assert.match(quick, /image_generation\.completed/);
    assert.equal(await readMetric(worker(), "spectrum_passes_total"), 1000);
    assert.equal((await generate(edge(), { seed: 2, steps: 1 })).status, 200);
    // All of it is still there for who was slow.
    let text = "";
    const decoder = new TextDecoder();
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      text += decoder.decode(chunk.value, { stream: true });
    }
    assert.match(text, /image_generation\.completed/);
  });

  it("500 connections that send nothing, or half a request, block nobody", async () => {
    const { hostname, port } = new URL(edge());
    const half = new TextEncoder().encode("POST /v1/images/generations HTTP/1.1\r\nHost: x\r\nContent-Le");
    const connections = await Promise.all(Array.from({ length: 500 }, async (_, index) => {
      const connection = await Deno.connect({ hostname, port: Number(port) });
      if (index % 2 === 1) await connection.write(half);
      return connection;
    }));
    try {
      for (let seed = 10; seed < 20; seed++) {
        assert.equal((await generate(edge(), { seed, steps: 1 })).status, 200);
      }
    } finally {
      for (const connection of connections) connection.close();
    }
  });

  it(
    "2,000 requests of all kinds leave no memory, no descriptors, no leases",
    { timeout: 600_000 },
    async () => {
      const request = async (index: number) => {
        const url = edge(index);
        if (index % 10 === 0) {
          const response = await post(url, { seed: index, steps: 1000, stream: true });
          await response.body!.cancel();
        } else if (index % 10 === 1) {
          await generate(url, { steps: 2 }, { headers: { "idempotency-key": `key-${index}` } });
        } else if (index % 10 === 2) {
          await generate(url, { steps: -1 });
        } else if (index % 10 === 3) {
          const job = await (await post(url, { seed: index, steps: 1, background: true })).json();
          await (await fetch(`${edge(index + 1)}/v1/jobs/${job.id}/events`)).text();
        } else {
          // Some of it made, some joined, most of it found.
          await (await post(url, { seed: index % 97, steps: 2, stream: index % 2 === 0 })).text();
        }
      };
      const thousand = async (round: number) => {
        let next = 1000 * round;
        const lane = async () => {
          while (next < 1000 * (round + 1)) await request(next++);
        };
        await Promise.all(Array.from({ length: LANES }, lane));
        await untilIdle(worker());
      };
      const nodes = [...cluster.edges, ...cluster.workers];
      const measure = () => nodes.map(({ url, process }) => footprint(url, process.pid));
      await thousand(0);
      // Idle keep-alive connections come and go.
      await assertFlat(thousand, { measure, spare: 2 * LANES });
      // Runs that are over hold no lease; those whose clients left are told apart by nothing.
      const { redis } = cluster.redis!;
      assert.equal(await redis.zcard("spectrum:runs"), 0);
      for (const key of await redis.keys("spectrum:run:*:viewers")) assert.fail(`${key} is left`);
      for (const key of await redis.keys("spectrum:*")) {
        const lasting = key === "spectrum:runs" || key === "spectrum:kept" ||
          /^spectrum:state:jobs/.test(key);
        // Promised keys end by the sweep of `spectrum:kept`, others by an own expiry, perhaps by now.
        const ends = await redis.pttl(key) !== -1 ||
          Number(await redis.zscore("spectrum:kept", key)) > Date.now();
        assert.ok(lasting || ends, `${key} has no end`);
      }
    },
  );
});
