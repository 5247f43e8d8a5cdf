import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { ApiError } from "../../../routes/page/browser/api_error.js";
import { followEvents } from "../../../routes/page/browser/follow_events.js";

const wait = () => Promise.resolve();

describe("followEvents()", () => {
  it("goes on after the last event, however a connection ended", async () => {
    const positions: (string | null)[] = [];
    const answers = [
      () => new Response(broken(message(1) + message(2))),
      () => {
        throw new TypeError("network");
      },
      () => new Response("{}", { status: 503 }),
      () => new Response(message(3)),
      () => new Response(null, { status: 204 }),
    ];
    let lost = 0;
    const fetch: typeof globalThis.fetch = (_url, init) => {
      positions.push(new Headers(init?.headers).get("last-event-id"));
      return Promise.try(answers.shift()!);
    };
    const events = await Array.fromAsync(followEvents("/events", { fetch, wait, onLost: () => lost++ }));
    assert.deepEqual(events.map(({ data }) => data), ["1", "2", "3"]);
    assert.deepEqual(positions, [null, "2", "2", "2", "3"]);
    assert.equal(lost, 4);
  });

  it("throws the service's refusal", async () => {
    const fetch = () => Promise.resolve(Response.json({ error: { code: "job_not_found" } }, { status: 404 }));
    await assert.rejects(Array.fromAsync(followEvents("/events", { fetch, wait })), ApiError);
  });

  it("leaves a connection that is silent", async () => {
    const answers = [
      new Response(new ReadableStream({ start: (c) => c.enqueue(new TextEncoder().encode(message(1))) })),
      new Response(message(2)),
      new Response(null, { status: 204 }),
    ];
    const fetch = () => Promise.resolve(answers.shift()!);
    const events = await Array.fromAsync(followEvents("/events", { fetch, wait, silenceMs: 5 }));
    assert.deepEqual(events.map(({ data }) => data), ["1", "2"]);
  });

  it("ends with its signal, in the midst of a first response too", async () => {
    const controller = new AbortController();
    const first = new Response(
      new ReadableStream({ start: (c) => c.enqueue(new TextEncoder().encode(message(1))) }),
    );
    const read = async () => {
      for await (const _ of followEvents("/events", { first, wait, signal: controller.signal })) {
        controller.abort();
      }
    };
    await assert.rejects(read(), { name: "AbortError" });
  });
});

function message(id: number): string {
  return `id: ${id}\ndata: ${id}\n\n`;
}

/** A body that fails behind its text. */
function broken(text: string): ReadableStream<Uint8Array> {
  const chunks = [new TextEncoder().encode(text)];
  return new ReadableStream({
    pull(controller) {
      const chunk = chunks.shift();
      if (chunk) controller.enqueue(chunk);
      else controller.error(new TypeError("reset"));
    },
  });
}
