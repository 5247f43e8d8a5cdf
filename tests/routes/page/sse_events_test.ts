import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { sseEvents } from "../../../routes/page/browser/sse_events.js";

describe("sseEvents()", () => {
  it("sseEvents() joins data lines, keeps ids and skips comments and empty events", async () => {
    const text =
      "\uFEFF: hello\nretry: 2000\n\nid: 1\nevent: step\ndata: a\ndata:  b\n\nevent: lost\n\ndata\n\n";
    assert.deepEqual(await parse([text]), [
      { event: "step", data: "a\n b", id: "1" },
      { event: "message", data: "", id: "1" },
    ]);
  });

  it("sseEvents() takes LF, CR and CR LF, cut anywhere", async () => {
    const text = "event: a\r\ndata: grün\r\n\r\nevent: b\rdata: 2\r\revent: c\ndata: 3\n\n";
    const expected = await parse([text]);
    assert.deepEqual(expected.map(({ event, data }) => event + data), ["agrün", "b2", "c3"]);

    const bytes = new TextEncoder().encode(text);
    for (let cut = 1; cut < bytes.length; cut++) {
      assert.deepEqual(await parse([bytes.slice(0, cut), bytes.slice(cut)]), expected, `cut at byte ${cut}`);
    }
    assert.deepEqual(await parse([...bytes].map((byte) => Uint8Array.of(byte))), expected);
  });

  it("sseEvents() drops an event that the end of the stream cuts off", async () => {
    assert.deepEqual(await parse(["data: whole\n\ndata: half\n"]), [{
      event: "message",
      data: "whole",
      id: "",
    }]);
  });

  it("sseEvents() cancels the stream when the loop is left", async () => {
    let cancelled = false;
    const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: (controller) => controller.enqueue(new TextEncoder().encode("data: 1\n\n")),
      cancel: () => void (cancelled = true),
    });
    for await (const _ of sseEvents(stream)) break;
    assert.ok(cancelled);
  });
});

async function parse(chunks: (string | Uint8Array<ArrayBuffer>)[]) {
  const bytes = chunks.map((chunk) => typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk);
  return await Array.fromAsync(sseEvents(ReadableStream.from(bytes)));
}
