// The edge's parts as its configuration makes them, before a worker that answers nothing of use.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { createApp } from "../../routes/app.ts";
import { readEdgeConfig } from "../../routes/edge_config.ts";
import { edgeOptions } from "../../routes/edge_options.ts";

const LOCAL = { remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 } } as const;

describe("edgeOptions()", () => {
  it("makes worker clients that hand on the id of the client's request", async () => {
    const ids = new Set<string | null>();
    await using worker = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
      ids.add(request.headers.get("x-request-id"));
      return new Response(null, { status: 503 });
    });
    const config = readEdgeConfig((name) =>
      name === "SPECTRUM_WORKERS" ? `http://127.0.0.1:${worker.addr.port}` : undefined
    );
    using app = createApp({ ...edgeOptions(config, () => {}), maxAttempts: 1 });
    const headers = { "x-request-id": "request-1" };
    await (await app.request("http://localhost/v1/models", { headers }, LOCAL)).body?.cancel();
    assert.deepEqual([...ids], ["request-1"]);
  });
});
