// Signed calls of a batch service: once for all its processes, whichever is restarted.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Redis } from "ioredis";
import { Hono } from "hono";
import { QueueNonces } from "../../../deploy/batches/queue_nonces.ts";
import { type RedisServer, startRedisServer } from "../../../deploy/redis_rest/redis_server.ts";
import { requireSignature } from "../../../protocol/http/require_signature.ts";
import { ApiError } from "../../../protocol/wire/api_error.ts";
import { BatchClient } from "../../../routes/batches/batch_client.ts";
import { WITHOUT_REDIS } from "../../service/redis.ts";

const SECRET = "a".repeat(32);
const CALLER = { tenant: "t", requestId: "r" };

describe("QueueNonces", { skip: WITHOUT_REDIS }, () => {
  let server: RedisServer;
  let redis: Redis;
  before(async () => {
    server = await startRedisServer();
    redis = new Redis(server.url);
  });
  after(async () => {
    redis.disconnect();
    await server[Symbol.asyncDispose]();
  });

  /** One process of the service, as it is after its start. */
  function start(): Hono {
    const nonces = new QueueNonces({ redis });
    const app = new Hono();
    app.use(requireSignature(SECRET, { nonces, instance: () => nonces.name() }));
    app.get("/healthz", (c) => c.json({ status: "ok" }));
    app.get("/files", (c) => c.json({ data: [] }));
    app.onError((cause) => ApiError.from(cause).toResponse());
    return app;
  }

  it("serves a call once at any process, also after a restart, and refuses other queues' calls", async () => {
    const processes = [start(), start()];
    const captured: Request[] = [];
    let turn = 0;
    // Behind one address, as a balancer has it.
    const client = new BatchClient({
      url: "http://batches.example",
      secret: SECRET,
      fetch: async (input, init) => {
        const request = new Request(input, init);
        captured.push(request.clone());
        return await processes[turn++ % 2]!.request(request);
      },
    });
    for (let i = 0; i < 4; i++) await client.files(CALLER, {});
    const call = captured.findLast(({ url }) => url.includes("/files"))!;
    const refusal = async (app: Hono) => {
      const response = await app.request(call.clone());
      return [response.status, (await response.json()).error.code];
    };
    for (const app of [...processes, start()]) {
      assert.deepEqual(await refusal(app), [401, "replayed_signature"]);
    }
    await redis.flushall();
    processes.splice(0, 2, start(), start());
    assert.deepEqual(await refusal(processes[0]!), [401, "other_instance"]);
    await client.files(CALLER, {});
    // The first call of a process that has just started is served.
    processes.splice(0, 2, start(), start());
    for (let i = 0; i < 2; i++) await client.files(CALLER, {});
    // A process without its Redis says in time that it has no name.
    const lost = new Redis({ port: 1, lazyConnect: true, retryStrategy: () => null });
    lost.on("error", () => {});
    assert.equal(await new QueueNonces({ redis: lost, waitMs: 1 }).name(), undefined);
    lost.disconnect();
    // A full queue can still be called.
    await redis.config("SET", "maxmemory", "1");
    await client.files(CALLER, {});
  });
});
