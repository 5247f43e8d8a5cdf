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
  method?: string;
  corsOrigins?: string[];
}

async function ask(keys: string[], asked: Ask) {
  const { from = "127.0.0.1", url = "http://localhost/", headers = {}, method = "GET", corsOrigins = [] } =
    asked;
  const options = { store: new MemoryKeyStore(), log: () => {} };
  const [directory, limits] = [new KeyDirectory(options), new KeyLimits(options)];
  const app = new Hono<Environment>().use(authenticate({ keys, directory, limits, corsOrigins })).all(
    "/",
    (c) => c.text("in"),
  );
  app.onError(handleError({ log: () => {} }));
  const remoteAddr: Deno.NetAddr = { transport: "tcp", hostname: from, port: 1 };
  const response = await app.request(url, { method, headers }, { remoteAddr });
  const body = response.ok ? undefined : (await response.json()).error;
  return { status: response.status, code: body?.code, type: body?.type, message: body?.message };
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
      const { message: _message, ...facts } = await ask([], { from });
      assert.deepEqual(facts, { status: 403, code: "loopback_only", type: "permission_error" }, from);
    }
  });

  it("authenticate() without keys admits no proxy and no rebound host name", async () => {
    assert.equal((await ask([], { headers: { "x-forwarded-for": "127.0.0.1" } })).status, 403);
    assert.equal((await ask([], { headers: { forwarded: "for=127.0.0.1" } })).status, 403);
    assert.equal((await ask([], { url: "http://evil.example/" })).status, 403);
    assert.equal((await ask([], { url: "http://127.0.0.1.evil.example/" })).status, 403);
    assert.equal((await ask([], { url: "http://[::1]:8000/" })).status, 200);
    assert.equal((await ask([], { headers: { host: "evil.example" } })).status, 403);
    assert.equal((await ask([], { headers: { host: "" } })).status, 403);
  });

  it("authenticate() without keys admits nothing that bears a proxy's mark", async () => {
    const marks = [
      ...["x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-forwarded", "x-real-ip", "via"],
      ...["cf-connecting-ip", "cf-ray", "cdn-loop", "true-client-ip", "x-client-ip", "client-ip"],
      ...["x-cluster-client-ip", "fastly-client-ip", "fly-client-ip", "do-connecting-ip"],
      ...["x-original-forwarded-for", "x-original-host", "x-original-url", "x-envoy-external-address"],
      ...["x-azure-clientip", "x-appengine-user-ip", "x-amzn-trace-id", "x-amz-cf-id", "x-remote-ip"],
      ...["x-rewrite-url", "x-replaced-path", "x-request-start", "x-ms-proxy", "x-auth-request-email"],
      ...["surrogate-capability", "max-forwards", "x-host", "x-replit-user-id"],
      ...["x-cloud-trace-context", "x-vercel-forwarded-for", "x-nf-client-connection-ip", "x-arr-log-id"],
      ...["x-proxyuser-ip", "wl-proxy-client-ip", "x-varnish", "tailscale-user-login", "x-scheme"],
    ];
    for (const mark of marks) {
      const { status, code, message } = await ask([], { headers: { [mark]: "203.0.113.9" } });
      assert.deepEqual([status, code], [403, "loopback_only"], mark);
      assert.match(message, new RegExp(`'${mark}'`));
    }
    // Headers of programs.
    const headers = {
      traceparent: "00-1-1-00",
      "x-request-id": "a",
      "x-stainless-os": "Linux",
      connection: "keep-alive",
    };
    assert.equal((await ask([], { headers })).status, 200);
  });

  it("authenticate() without keys admits nothing as nginx's plain proxy_pass sends it", async () => {
    const headers = { connection: "close" };
    for (const url of ["http://127.0.0.1:8000/", "http://localhost:8000/", "http://backend/"]) {
      const { status, message } = await ask([], { url, headers });
      assert.equal(status, 403, url);
      if (url !== "http://backend/") assert.match(message, /has 'Connection: close'.*SPECTRUM_API_KEYS/);
    }
  });

  it("authenticate() without keys lets pages of other sites start nothing", async () => {
    const own = "http://localhost:8000";
    const url = `${own}/`;
    const outcome = async (headers: Record<string, string>, method = "POST", corsOrigins: string[] = []) => {
      const { status, code } = await ask([], { url, headers, method, corsOrigins });
      return status === 200 ? "in" : code;
    };
    for (
      const headers of [
        { origin: "https://evil.example" },
        { origin: "null" },
        { origin: "http://localhost:3000" },
        { origin: "https://localhost:8000" },
        { origin: "http://127.0.0.1:8000" },
        { origin: own, "sec-fetch-site": "cross-site" },
        { "sec-fetch-site": "cross-site" },
        { "sec-fetch-site": "same-site" },
        { origin: "https://evil.example", "sec-fetch-site": "same-origin" },
      ]
    ) {
      for (const method of ["POST", "DELETE", "PUT", "PATCH"]) {
        assert.equal(
          await outcome(headers as Record<string, string>, method),
          "cross_site_request",
          JSON.stringify(headers),
        );
      }
    }
    for (
      const headers of [{}, { origin: own }, { origin: own, "sec-fetch-site": "same-origin" }, {
        "sec-fetch-site": "none",
      }]
    ) {
      assert.equal(await outcome(headers as Record<string, string>), "in", JSON.stringify(headers));
    }
    for (
      const type of ["text/plain", "application/x-www-form-urlencoded", "text/plain;application/json", ""]
    ) {
      const headers = { origin: "https://evil.example", "content-type": type };
      assert.equal(await outcome(headers), "unsupported_media_type", type);
    }
    const shared = { origin: "https://app.example", "sec-fetch-site": "cross-site" };
    assert.equal(await outcome(shared, "POST", ["https://app.example"]), "in");
    assert.equal(await outcome(shared, "POST", ["https://other.example"]), "cross_site_request");
    // Reading starts nothing, and CORS keeps the answer from the page.
    assert.equal(await outcome({ origin: "https://evil.example" }, "GET"), "in");
  });
});
