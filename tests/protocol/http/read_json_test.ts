import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { ApiError } from "../../../protocol/wire/api_error.ts";
import { readJson } from "../../../protocol/http/read_json.ts";

function post(
  body: BodyInit,
  headers: Record<string, string> = { "content-type": "application/json" },
): Request {
  return new Request("http://localhost/", { method: "POST", body, headers });
}

function withStatus(status: number) {
  return (error: unknown) => error instanceof ApiError && error.status === status;
}

describe("readJson()", () => {
  it("readJson() reads JSON with and without a charset", async () => {
    assert.deepEqual(await readJson(post(`{"a":[1]}`)), { a: [1] });
    const type = { "content-type": "Application/JSON; charset=utf-8" };
    assert.equal(await readJson(post(`"é"`, type)), "é");
  });

  it("readJson() refuses other content types", async () => {
    for (const type of ["text/plain", "application/jsonp", "multipart/form-data; boundary=x"]) {
      await assert.rejects(readJson(post("{}", { "content-type": type })), withStatus(415));
    }
  });

  it("readJson() refuses a body that is not JSON in UTF-8", async () => {
    for (const body of ["", "{", "{'a':1}", "NaN", new Uint8Array([0x22, 0xff, 0x22])]) {
      await assert.rejects(readJson(post(body)), withStatus(400));
    }
  });

  it("readJson() refuses deep nesting without recursing into it", async () => {
    const deep = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
    assert.ok(await readJson(post(deep(32))));
    for (const levels of [34, 100_000]) await assert.rejects(readJson(post(deep(levels))), withStatus(400));
  });

  it("readJson() stops at the limit even if Content-Length is smaller", async () => {
    const limit = { maxBytes: 1000 };
    await assert.rejects(readJson(post(`"${"x".repeat(1000)}"`), limit), withStatus(413));
    let pulled = 0;
    const endless = new ReadableStream({
      pull(controller) {
        pulled++;
        controller.enqueue(new Uint8Array(100).fill(32));
      },
    });
    await assert.rejects(readJson(post(endless), limit), withStatus(413));
    assert.ok(pulled < 20, `read on after the limit: ${pulled} chunks`);
  });

  it("readJson() gives up on a body that stops half way, and lets go of it", async () => {
    const { promise: cancelled, resolve } = Promise.withResolvers<void>();
    const stalled = new ReadableStream({
      start: (controller) => controller.enqueue(new TextEncoder().encode(`{"a":`)),
      cancel: () => resolve(),
    });
    await assert.rejects(readJson(post(stalled), { deadlineMs: 20 }), withStatus(408));
    await cancelled;
  });

  it("readJson() calls a body that broke off incomplete", async () => {
    const broken = new ReadableStream({
      pull: (controller) => controller.error(new TypeError("connection reset")),
    });
    await assert.rejects(
      readJson(post(broken)),
      (error) => withStatus(400)(error) && !(error as Error).message.includes("reset"),
    );
  });
});
