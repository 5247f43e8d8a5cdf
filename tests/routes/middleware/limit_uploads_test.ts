import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Hono } from "hono";
import type { Environment } from "../../../routes/middleware/environment.ts";
import { handleError } from "../../../protocol/http/handle_error.ts";
import { limitUploads } from "../../../routes/middleware/limit_uploads.ts";

const MB = 2 ** 20;

/** An app whose handler waits until it is told; `send` resolves to the status. */
function start() {
  const waiting: (() => void)[] = [];
  const app = new Hono<Environment>();
  app.use(async (c, next) => {
    c.set("tenant", c.req.header("key"));
    await next();
  });
  app.use(limitUploads({ bytesPerTenant: 10 * MB, bytesInAll: 18 * MB }));
  app.post("*", async (c) => {
    await new Promise<void>((resolve) => waiting.push(resolve));
    return c.text("ok");
  });
  app.onError(handleError({ log: () => {} }));
  const send = async (
    key: string,
    length: number | undefined,
    { path = "/", type = "multipart/form-data; boundary=b" } = {},
  ) => {
    const headers: Record<string, string> = { key, "content-type": type };
    if (length !== undefined) headers["content-length"] = String(length);
    const answer = await app.request(path, { method: "POST", headers, body: "x" });
    return answer.ok ? answer.status : (await answer.json()).error.code;
  };
  /** Lets all requests in hand end. */
  const release = () => waiting.splice(0).forEach((end) => end());
  return { send, release, inHand: () => waiting.length };
}

describe("limitUploads()", () => {
  it("bounds the bytes that one key has in hand, and leaves room for others", async () => {
    const { send, release, inHand } = start();
    const sent = [send("a", 4 * MB), send("a", 4 * MB), send("b", 8 * MB)];
    assert.equal(await send("a", 4 * MB), "too_many_uploads");
    assert.equal(await send("c", 4 * MB), "too_many_uploads");
    // Small bodies do not count.
    const small = send("a", 1000);
    await Promise.resolve();
    assert.equal(inHand(), 4);
    release();
    assert.deepEqual(await Promise.all([...sent, small]), [200, 200, 200, 200]);
    const again = send("a", 4 * MB);
    release();
    assert.equal(await again, 200);
  });

  it("counts a body without a length as the longest allowed", async () => {
    const { send, release } = start();
    const form = send("a", undefined);
    assert.equal(await send("a", undefined), "too_many_uploads");
    assert.equal(await send("b", undefined, { path: "/v1/files" }), "too_many_uploads");
    const json = send("a", undefined, { type: "application/json" });
    release();
    assert.deepEqual(await Promise.all([form, json]), [200, 200]);
  });

  it("takes no room for a length that no body may have", async () => {
    const { send, release } = start();
    const endless = send("a", 10 ** 15);
    const other = send("a", 8 * MB);
    release();
    assert.deepEqual(await Promise.all([endless, other]), [200, 200]);
  });
});
