import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Hono } from "hono";
import type { Environment } from "../../../routes/middleware/environment.ts";
import { KeyDirectory } from "../../../routes/keys/key_directory.ts";
import { KeyLimits } from "../../../routes/keys/key_limits.ts";
import { MemoryKeyStore } from "../../../routes/keys/memory_key_store.ts";
import { authenticate } from "../../../routes/middleware/authenticate.ts";
import { handleError } from "../../../protocol/http/handle_error.ts";

interface Ask {
  from?: string;
  url?: string;
  headers?: Record<string, string>;
}

async function ask(keys: string[], { from = "127.0.0.1", url = "http://localhost/", headers = {} }: Ask) {
  const options = { store: new MemoryKeyStore(), log: () => {} };
  const [directory, limits] = [new KeyDirectory(options), new KeyLimits(options)];
  const app = new Hono<Environment>().use(authenticate({ keys, directory, limits })).get(
    "/",
    (c) => c.text("in"),
  );
  app.onError(handleError({ log: () => {} }));
  const remoteAddr: Deno.NetAddr = { transport: "tcp", hostname: from, port: 1 };
  const response = await app.request(url, { headers }, { remoteAddr });
  const body = response.ok ? undefined : (await response.json()).error;
  return { status: response.status, code: body?.code, type: body?.type };
}

describe("authenticate()", () => {
  it("authenticate() admits the configured keys and no others", async () => {
    const keys = ["sk-one", "sk-two"];
    for (const key of keys) {
      assert.equal(
        (await ask(keys, { from: "8.8.8.8", headers: { authorization: `Bearer ${key}` } })).status,
        200,
      );
    }
    for (
      const header of ["Bearer sk-three", "Bearer sk-on", "Bearer sk-one sk-two", "Basic sk-one", "Bearer "]
    ) {
      const { status, type } = await ask(keys, { headers: { authorization: header } });
      assert.deepEqual([status, type], [401, "authentication_error"], header);
    }
    assert.equal((await ask(keys, {})).code, "missing_api_key");
  });

  it("authenticate() without keys admits loopback clients", async () => {
    for (const from of ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"]) {
      assert.equal((await ask([], { from })).status, 200, from);
    }
    for (const from of ["10.0.0.1", "::ffff:10.0.0.1", "", "::12"]) {
      assert.deepEqual(await ask([], { from }), {
        status: 403,
        code: "loopback_only",
        type: "permission_error",
      }, from);
    }
  });

  it("authenticate() without keys admits no proxy and no rebound host name", async () => {
    assert.equal((await ask([], { headers: { "x-forwarded-for": "127.0.0.1" } })).status, 403);
    assert.equal((await ask([], { headers: { forwarded: "for=127.0.0.1" } })).status, 403);
    assert.equal((await ask([], { url: "http://evil.example/" })).status, 403);
    assert.equal((await ask([], { url: "http://127.0.0.1.evil.example/" })).status, 403);
    assert.equal((await ask([], { url: "http://[::1]:8000/" })).status, 200);
  });
});
