import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Hono } from "hono";
import { requestId } from "hono/request-id";
import type { Environment } from "../../../routes/middleware/environment.ts";
import type { KeyRecord } from "../../../routes/keys/key_store.ts";
import { logRequests } from "../../../routes/middleware/log_requests.ts";

describe("logRequests()", () => {
  it("writes the request's and the key's id on every line, never the key", async () => {
    const lines: { message: string; fields: Record<string, unknown> | undefined }[] = [];
    const app = new Hono<Environment>();
    app.use(requestId(), logRequests((_level, message, fields) => void lines.push({ message, fields })));
    app.use(async (c, next) => {
      if (c.req.header("authorization")) c.set("apiKey", { id: "abc", name: "Ada" } as KeyRecord);
      await next();
    });
    app.get("/", (c) => {
      c.get("log")("warn", "in between", { detail: 1 });
      return c.text("");
    });
    const headers = { "x-request-id": "request-1" };
    await app.request("/", { headers: { ...headers, authorization: "Bearer se_abc_secret" } });
    assert.deepEqual(lines.map(({ message, fields }) => [message, fields?.request_id, fields?.key_id]), [
      ["in between", "request-1", "abc"],
      ["request", "request-1", "abc"],
    ]);
    assert.doesNotMatch(JSON.stringify(lines), /secret|Bearer/);
    await app.request("/", { headers });
    assert.equal(lines.at(-1)!.fields!.key_id, undefined);
  });
});
