import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Hono } from "hono";
import type { Environment } from "../../../routes/middleware/environment.ts";
import type { KeyRecord } from "../../../routes/keys/key_store.ts";
import { handleError } from "../../../protocol/http/handle_error.ts";
import { limitConnections } from "../../../routes/middleware/limit_connections.ts";

describe("limitConnections()", () => {
  it("bounds each key's requests under way, until their answers are sent", async () => {
    const app = new Hono<Environment>();
    app.use(async (c, next) => {
      const id = c.req.header("key");
      if (id !== undefined) c.set("apiKey", { id } as KeyRecord);
      await next();
    });
    app.use(limitConnections(2));
    app.get("/", (c) => c.text("ok"));
    app.onError(handleError({ log: () => {} }));
    const get = async (key?: string) => {
      const { promise: completed, resolve: sent, reject: gone } = Promise.withResolvers<void>();
      const headers: Record<string, string> = key === undefined ? {} : { key };
      const answer = await app.request("/", { headers }, { completed });
      return { status: answer.status, body: await answer.text(), sent, gone };
    };
    const first = await get("a");
    const second = await get("a");
    const refused = await get("a");
    assert.deepEqual([first.status, second.status, refused.status], [200, 200, 429]);
    assert.equal(JSON.parse(refused.body).error.code, "too_many_connections");
    assert.deepEqual([(await get("b")).status, (await get()).status], [200, 200]);
    first.sent();
    second.gone(new Error("the client has gone"));
    await Promise.resolve();
    await Promise.resolve();
    assert.deepEqual([(await get("a")).status, (await get("a")).status, (await get("a")).status], [
      200,
      200,
      429,
    ]);
  });

  it("bounds the connections of each ticket", async () => {
    const app = new Hono<Environment>();
    app.use(limitConnections(2));
    app.get("/", (c) => c.text("ok"));
    app.onError(handleError({ log: () => {} }));
    const get = async (ticket: string) =>
      (await app.request(`/?ticket=${ticket}`, {}, { completed: new Promise<void>(() => {}) })).status;
    assert.deepEqual([await get("a"), await get("a"), await get("a"), await get("b")], [200, 200, 429, 200]);
  });
});
