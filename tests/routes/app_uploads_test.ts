// An edge holds a bounded number of uploaded bytes on every route that takes them.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { createApp } from "../../routes/app.ts";
import { MemoryKeyStore } from "../../routes/keys/memory_key_store.ts";
import { MemoryResultStore } from "../../protocol/store/results/memory_result_store.ts";
import { testPool } from "./runs/pool.ts";

const BYTES = 300_000;

describe("uploads", () => {
  it("in hand on one route leave no room on any", async () => {
    const app = createApp({
      workers: testPool("http://127.0.0.1:1"),
      results: new MemoryResultStore(),
      keys: ["one", "other"],
      keyStore: new MemoryKeyStore(),
      log: () => {},
      uploads: { bytesPerTenant: 2 * BYTES, bytesInAll: 2 * BYTES },
    });
    const send = (
      path: string,
      { key = "one", body = "x" as BodyInit, type = "multipart/form-data; boundary=b" },
    ) =>
      app.request(path, {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": type, "content-length": String(BYTES) },
        body,
      });
    const ends: (() => void)[] = [];
    /** A body that has not arrived. */
    const slow = () =>
      new ReadableStream({ start: (controller) => void ends.push(() => controller.close()) });
    const held = [send("/v1/images/edits", { body: slow() }), send("/v1/files", { body: slow() })];
    for (const key of ["one", "other"]) {
      for (const path of ["/v1/images/edits", "/v1/files", "/v1/images/generations", "/v1/videos"]) {
        assert.equal(await codeOf(await send(path, { key })), "too_many_uploads", path);
      }
      const type = "application/json";
      assert.equal(await codeOf(await send("/sdapi/v1/img2img", { key, type })), "too_many_uploads");
    }
    for (const end of ends) end();
    await Promise.all(held);
    assert.equal(await codeOf(await send("/v1/images/edits", {})), "invalid_form");
    app[Symbol.dispose]();
  });
});

async function codeOf(answer: Response): Promise<string> {
  const { error, code } = await answer.json();
  return error?.code ?? code;
}
