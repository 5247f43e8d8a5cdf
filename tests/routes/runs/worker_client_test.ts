import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { ApiError } from "../../../protocol/wire/api_error.ts";
import { WorkerClient, type WorkerClientOptions } from "../../../routes/runs/worker_client.ts";

/** A client whose worker is `answer`. */
function clientOf(
  answer: (request: Request) => Response,
  options: Partial<WorkerClientOptions> = {},
): WorkerClient {
  const fetch = (input: URL | RequestInfo, init?: RequestInit) =>
    Promise.resolve(answer(new Request(input, init)));
  return new WorkerClient({ url: "http://worker.example", fetch, ...options });
}

const RUN = { model: "m", prompt: "x", seed: 1 };

async function refusal(promise: Promise<unknown>): Promise<ApiError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: "nothing was refused" });
}

async function drain(events: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _ of events) count++;
  return count;
}

describe("WorkerClient", () => {
  it("submit() passes a worker's refusals on as they are", async () => {
    const refused = new ApiError(429, "The queue is full", { code: "queue_full", retryAfter: 7 });
    const error = await refusal(clientOf(() => refused.toResponse()).submit(RUN));
    assert.deepEqual([error.status, error.message, error.code, error.retryAfter], [
      429,
      "The queue is full",
      "queue_full",
      7,
    ]);
  });

  it("submit() keeps a worker's failures to itself", async () => {
    const answers = [
      new Response("Traceback: /root/secret", { status: 500 }),
      new Response("<html>bad gateway</html>", { status: 502 }),
      new Response("<html>", { status: 404 }),
      new Response(null, { status: 302, headers: { location: "http://elsewhere.example" } }),
      new Response("no json"),
    ];
    for (const answer of answers) {
      const error = await refusal(clientOf(() => answer).submit(RUN));
      assert.deepEqual([error.status, error.code], [503, "worker_unavailable"]);
      assert.doesNotMatch(JSON.stringify(error.toBody()), /secret|html|elsewhere/);
    }
  });

  it("requests follow no redirect and carry no header of the client's", async () => {
    let seen: Request | undefined;
    await clientOf((request) => {
      seen = request;
      return Response.json({ id: "1", position: 0 });
    }).submit(RUN);
    assert.equal(seen!.redirect, "manual");
    assert.deepEqual([...seen!.headers.keys()], ["content-type"]);
  });

  it("events() reads ids, whatever the chunks", async () => {
    const text = `retry: 2000\n\nid: 4\nevent: step\ndata: {"type":"step"}\n\n:\n\nid: 5\nevent: é\ndata: ` +
      `{"type":"é"}\n\n`;
    const bytes = new TextEncoder().encode(text);
    for (const size of [1, 7, bytes.length]) {
      const chunks = Array.from(
        { length: Math.ceil(bytes.length / size) },
        (_, i) => bytes.slice(i * size, (i + 1) * size),
      );
      const client = clientOf((request) => {
        assert.equal(request.headers.get("last-event-id"), "3");
        return new Response(ReadableStream.from(chunks));
      });
      const seen = await Array.fromAsync(
        client.events("r", { after: 3, signal: new AbortController().signal }),
      );
      assert.deepEqual(seen, [{ id: 4, event: { type: "step" } }, { id: 5, event: { type: "é" } }]);
    }
  });

  it("events() takes silence for a broken connection, comments for a live one", async () => {
    await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
      const comments = new URL(request.url).pathname.includes("alive") ? 15 : 1;
      return new Response(ReadableStream.from(async function* () {
        for (let i = 0; i < comments; i++) {
          yield new TextEncoder().encode(":\n\n");
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
        // Says nothing from here on, or ends.
        if (comments === 1) await new Promise((resolve) => request.signal.addEventListener("abort", resolve));
      }()));
    });
    const client = new WorkerClient({ url: `http://127.0.0.1:${server.addr.port}`, idleMs: 1000 });
    const { signal } = new AbortController();
    assert.equal(await drain(client.events("alive", { after: 0, signal })), 0);
    const error = await refusal(drain(client.events("silent", { after: 0, signal })));
    assert.equal(error.code, "worker_unavailable");
  });

  it("gives up any call of a hanging worker after a moment", async () => {
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      // Deno prints the errors of a handler, so this one answers a client that has left.
      ({ signal }) =>
        new Promise((resolve) => signal.addEventListener("abort", () => resolve(new Response()))),
    );
    const client = new WorkerClient({ url: `http://127.0.0.1:${server.addr.port}`, answerMs: 20 });
    const run = { model: "m", prompt: "x", seed: 1 };
    const { signal } = new AbortController();
    for (
      const call of [
        client.models(),
        client.complete(run),
        client.submit(run),
        drain(client.events("r", { after: 0, signal })),
      ]
    ) {
      assert.equal((await refusal(call)).code, "worker_unavailable");
    }
  });
});
