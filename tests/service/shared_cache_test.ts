// Two edge processes before one worker, sharing a real redis-server through the adapter in deploy/.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { WITHOUT_REDIS } from "./redis.ts";
import { readMetric, startTask } from "./service.ts";
import { until } from "../until.ts";

const LISTENING = /"message":"listening","url":"([^"]+)"/;

async function generate(url: string, fields: Record<string, unknown> = {}) {
  const response = await fetch(`${url}/v1/images/generations`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      prompt: "blue heart",
      seed: 5,
      steps: 4,
      spectrum: { method: "none" },
      ...fields,
    }),
  });
  const body = await response.json();
  return {
    status: response.status,
    cache: response.headers.get("x-spectrum-cache"),
    picture: body.data?.[0],
  };
}

describe("RedisResultStore", { skip: WITHOUT_REDIS }, () => {
  it("a picture made through one edge is found by another, and Redis may go away", async () => {
    await using redis = await startTask("redis", {
      args: ["--port", "0"],
      until: /^(UPSTASH_REDIS_REST_URL=.*)$/,
    });
    const variables = Object.fromEntries(
      redis.found.split(" ").map((pair) => pair.split("=") as [string, string]),
    );
    await using worker = await startTask("worker", { args: ["--port", "0"], until: LISTENING });
    const env = { ...variables, PORT: "0", SPECTRUM_WORKERS: worker.found };
    await using first = await startTask("edge", { env, until: LISTENING });
    await using second = await startTask("edge", { env, until: LISTENING });

    const made = await generate(first.found);
    assert.deepEqual([made.status, made.cache], [200, "miss"]);
    // Stored beside the answer, not before it.
    const size = async () => {
      const response = await fetch(variables.UPSTASH_REDIS_REST_URL!, {
        method: "POST",
        headers: { authorization: `Bearer ${variables.UPSTASH_REDIS_REST_TOKEN}` },
        body: `["DBSIZE"]`,
      });
      return (await response.json()).result;
    };
    await until(async () => await size() > 0);
    const found = await generate(second.found);
    assert.equal(found.cache, "hit");
    assert.equal(found.picture.b64_json, made.picture.b64_json);
    assert.equal(found.picture.receipt.cache, "hit");

    const runs = await readMetric(worker.found, "spectrum_runs_total");
    await generate(first.found);
    assert.equal(await readMetric(worker.found, "spectrum_runs_total"), runs);

    // Generation goes on uncached, and says so in the log rather than to the client.
    redis.process.kill("SIGTERM");
    await redis.process.status;
    const uncached = await generate(second.found);
    assert.deepEqual([uncached.status, uncached.cache], [200, "miss"]);
    const readiness = await fetch(`${second.found}/readyz`);
    assert.deepEqual([readiness.status, (await readiness.json()).status], [200, "degraded"]);
    await until(() => second.lines.some((line) => line.includes("result store is away")));
  });
});
