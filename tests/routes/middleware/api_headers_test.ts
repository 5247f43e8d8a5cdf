import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Hono } from "hono";
import { ApiError } from "../../../protocol/wire/api_error.ts";
import { readEdgeConfig } from "../../../routes/edge_config.ts";
import { apiHeaders } from "../../../routes/middleware/api_headers.ts";

const ORIGIN = "https://app.example";

/** An app whose every request is refused for want of a key, as real ones are. */
function appWith(corsOrigins?: string[]) {
  const app = new Hono();
  app.use("/v1/*", apiHeaders(corsOrigins));
  app.use("/v1/*", () => {
    throw new ApiError(401, "No key");
  });
  app.onError((cause) => ApiError.from(cause).toResponse());
  const ask = (origin: string, method = "GET") =>
    app.request("/v1/models", {
      method,
      headers: { origin, "access-control-request-headers": "authorization,x-stainless-os" },
    });
  return ask;
}

describe("apiHeaders()", () => {
  it("refusals carry the secure headers, too", async () => {
    for (const origins of [undefined, [ORIGIN]]) {
      const { status, headers } = await appWith(origins)(ORIGIN);
      assert.equal(status, 401);
      assert.equal(headers.get("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
      assert.equal(headers.get("x-content-type-options"), "nosniff");
      assert.equal(headers.get("x-frame-options"), "DENY");
      assert.equal(headers.get("strict-transport-security"), null);
    }
  });

  it("names no other origin unless it is configured", async () => {
    const answer = await appWith()(ORIGIN, "OPTIONS");
    assert.equal(answer.status, 401);
    assert.equal(answer.headers.get("access-control-allow-origin"), null);
  });

  it("pages of configured origins may ask and read, others may not", async () => {
    const ask = appWith([ORIGIN, "https://other.example"]);
    const preflight = await ask(ORIGIN, "OPTIONS");
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get("access-control-allow-headers"), "authorization,x-stainless-os");
    assert.match(preflight.headers.get("access-control-allow-methods")!, /POST/);
    const answer = await ask(ORIGIN);
    assert.equal(answer.headers.get("access-control-allow-origin"), ORIGIN);
    assert.match(answer.headers.get("access-control-expose-headers")!, /x-request-id/);
    assert.equal(answer.headers.get("vary"), "Origin");
    assert.equal((await ask("https://evil.example")).headers.get("access-control-allow-origin"), null);
    assert.equal((await appWith(["*"])(ORIGIN)).headers.get("access-control-allow-origin"), "*");
  });
});

describe("readEdgeConfig()", () => {
  it("SPECTRUM_CORS_ORIGINS takes origins and nothing else", () => {
    const read = (value: string) =>
      readEdgeConfig((name) => name === "SPECTRUM_CORS_ORIGINS" ? value : undefined).corsOrigins;
    assert.deepEqual(read(""), []);
    assert.deepEqual(read(`${ORIGIN}, http://localhost:3000`), [ORIGIN, "http://localhost:3000"]);
    assert.deepEqual(read("*"), ["*"]);
    for (const value of ["app.example", `${ORIGIN}/`, `${ORIGIN}/path`]) {
      assert.throws(() => read(value), /SPECTRUM_CORS_ORIGINS/, value);
    }
  });
});
