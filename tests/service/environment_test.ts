// The environment of a process breaks nothing: a proxy for the outside world, and a port that is taken.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { startFakeWorker, startTask } from "./service.ts";

const LISTENING = /"message":"listening","url":"([^"]+)"/;
/** Nothing answers there. */
const PROXY = "http://127.0.0.1:9";

async function run(command: string[], env: Record<string, string> = {}) {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", ...command],
    env,
    stdout: "null",
  }).output();
  return { code, error: new TextDecoder().decode(stderr) };
}

describe("environment", () => {
  it("an edge behind HTTP_PROXY asks its workers on this machine directly", async () => {
    await using worker = await startFakeWorker();
    for (const found of [worker.found, worker.found.replace("127.0.0.1", "localhost")]) {
      const env = { PORT: "0", SPECTRUM_WORKERS: found };
      const proxies = { HTTP_PROXY: PROXY, http_proxy: PROXY, ALL_PROXY: PROXY, NO_PROXY: "", no_proxy: "" };
      await using edge = await startTask("edge", { env: { ...env, ...proxies }, until: LISTENING });
      assert.equal((await fetch(`${edge.found}/readyz`)).status, 200, found);
    }
  });

  it("the edge ends with one line for a port in use or a wrong variable", async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const port = String(listener.addr.port);
    const inUse = new RegExp(
      `^(edge|worker|batches): Cannot listen on 127.0.0.1:${port}: another program uses this port.*\n$`,
    );
    const redis = "redis://127.0.0.1:9";
    const taken = await Promise.all([
      run(["edge"], { PORT: port }),
      run(["worker", "--port", port]),
      run(["batches", "--port", port, "--redis", redis]),
    ]);
    for (const { code, error } of taken) {
      assert.equal(code, 1, error);
      assert.match(error, inUse);
    }
    const wrong = await run(["edge"], { PORT: "http" });
    assert.deepEqual([wrong.code, wrong.error.trim().split("\n").length], [1, 1], wrong.error);
    assert.match(wrong.error, /^edge: Cannot start as 'PORT' must be/);
  });
});
