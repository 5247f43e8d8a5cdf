import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Hono } from "hono";
import { streamEvents } from "../../../protocol/http/stream_events.ts";
import { KeyDirectory } from "../../../routes/keys/key_directory.ts";
import { MemoryKeyStore } from "../../../routes/keys/memory_key_store.ts";
import { endRevokedStreams } from "../../../routes/middleware/end_revoked_streams.ts";
import type { Environment } from "../../../routes/middleware/environment.ts";
import { drawTestKey, interruptible } from "../keys/key.ts";

describe("endRevokedStreams()", () => {
  async function start() {
    const state = { now: 0, isAway: false };
    const { store } = interruptible(new MemoryKeyStore(), () => state.isAway);
    const directory = new KeyDirectory({ store, log: () => {}, now: () => state.now });
    const { record } = await drawTestKey();
    await store.add(record);
    const { promise: left, resolve: leave } = Promise.withResolvers<void>();
    const app = new Hono<Environment>();
    app.use(async (c, next) => {
      c.set("apiKey", record);
      await next();
    });
    app.use(endRevokedStreams(directory));
    let steps = Promise.withResolvers<void>();
    app.get("/events", (c) =>
      streamEvents(c, async function* (signal) {
        signal.addEventListener("abort", () => leave());
        for (let step = 0;; step++) {
          yield { event: "step", data: String(step) };
          await steps.promise;
        }
      }));
    app.get("/plain", (c) => c.text("plain"));
    const response = await app.request("/events");
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    const step = () => {
      steps.resolve();
      steps = Promise.withResolvers();
    };
    return { app, state, store, record, response, reader, step, left };
  }

  it("ends a revoked key's stream at its next event, and no stream while the store is away", async () => {
    const { app, state, store, record, response, reader, step, left } = await start();
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    const read = async () => (await reader.read()).value ?? "the end";
    let text = "";
    while (!text.includes("data: 0")) text += await read();
    await store.revoke(record.id, new Date());
    step();
    assert.match(await read(), /data: 1/);
    state.now = 31_000;
    state.isAway = true;
    step();
    assert.match(await read(), /data: 2/);
    state.isAway = false;
    step();
    const error = await read();
    assert.match(error, /^event: error\ndata: .*"revoked_api_key"/);
    assert.equal(await read(), "the end");
    // The maker of the events learns it.
    await left;
    assert.equal(await (await app.request("/plain")).text(), "plain");
  });

  it("a reader that leaves ends the stream behind it", async () => {
    const { reader, left } = await start();
    await reader.cancel();
    await left;
  });
});
