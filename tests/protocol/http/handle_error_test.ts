import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Hono } from "hono";
import { handleError } from "../../../protocol/http/handle_error.ts";
import { ApiError } from "../../../protocol/wire/api_error.ts";

describe("handleError()", () => {
  function start(options: { toBody?: (error: ApiError) => unknown } = {}) {
    const logged: unknown[] = [];
    const app = new Hono();
    app.get("/refuses", (c) => {
      c.header("etag", "of the success");
      throw new ApiError(429, "Too fast", { code: "slow_down", retryAfter: 3, headers: { allow: "GET" } });
    });
    app.get("/fails", () => {
      throw new TypeError("/root/secret");
    });
    app.onError(handleError({ log: (...line) => void logged.push(line), ...options }));
    return { logged, get: (path: string) => app.request(path, { headers: { "x-request-id": "request-1" } }) };
  }

  it("answers a refusal in its own words and headers, and logs nothing", async () => {
    const { get, logged } = start();
    const answer = await get("/refuses");
    assert.deepEqual([answer.status, answer.headers.get("retry-after"), answer.headers.get("allow")], [
      429,
      "3",
      "GET",
    ]);
    assert.equal(answer.headers.get("etag"), null);
    assert.equal((await answer.json()).error.code, "slow_down");
    assert.deepEqual(logged, []);
  });

  it("keeps a failure's words for the log, with the id of the request", async () => {
    const { get, logged } = start();
    const answer = await get("/fails");
    assert.equal(answer.status, 500);
    assert.doesNotMatch(await answer.text(), /secret/);
    const fields = { request_id: "request-1", path: "/fails", error: "TypeError: /root/secret" };
    assert.deepEqual(logged, [["error", "request failed", fields]]);
  });

  it("answers in the app's own shape", async () => {
    const { get } = start({ toBody: ({ message }) => ({ error: `ERR ${message}` }) });
    assert.deepEqual(await (await get("/refuses")).json(), { error: "ERR Too fast" });
  });
});
