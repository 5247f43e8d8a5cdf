import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { testPool } from "../runs/pool.ts";
import { createApp } from "../../../routes/app.ts";
import { MemoryKeyStore } from "../../../routes/keys/memory_key_store.ts";
import { openApiDocument } from "../../../routes/openapi/document.ts";
import { MemoryResultStore } from "../../../protocol/store/results/memory_result_store.ts";

/** Paths that people open in browsers, and the document itself. */
const UNDOCUMENTED = ["GET /", "GET /page/:name", "GET /docs", "GET /docs/:name", "GET /openapi.json"];

function startApp() {
  return createApp({
    workers: testPool("http://127.0.0.1:1"),
    results: new MemoryResultStore(),
    keys: ["secret"],
    keyStore: new MemoryKeyStore(),
    log: () => {},
  });
}

/** "GET /v1/models/{}": names of parameters do not matter. */
const nameless = (path: string) => path.replace(/:\w+(\{[^}]*\})?|\{\w+\}/g, "{}");

describe("openApiDocument()", () => {
  const document = openApiDocument();
  const operations = Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation }))
  );

  it("describes the app's routes, all and none else", () => {
    const routes = startApp().routes
      .filter(({ method }) => method !== "ALL")
      .map(({ method, path }) => `${method} ${path}`);
    const wanted = new Set(routes.filter((route) => !UNDOCUMENTED.includes(route)).map(nameless));
    const described = operations.map(({ method, path }) => nameless(`${method} ${path}`));
    assert.deepEqual(described.sort(), [...wanted].sort());
  });

  it("is OpenAPI 3.1 with an id for each operation and the refusals of /v1 on each of its routes", () => {
    assert.match(document.openapi, /^3\.1\./);
    const ids = operations.map(({ operation }) => operation.operationId);
    assert.equal(new Set(ids).size, ids.length);
    for (const { path, operation } of operations.filter(({ path }) => path.startsWith("/v1/"))) {
      for (const status of ["401", "403", "429", "500", "503"]) {
        assert.ok(operation.responses[status], `${path} ${status}`);
      }
    }
  });
});

describe("openApiRoutes()", () => {
  it("serves the document and its pages to everybody, from here alone", async () => {
    const app = startApp();
    const json = await app.request("/openapi.json");
    assert.deepEqual(await json.json(), JSON.parse(JSON.stringify(openApiDocument())));
    const page = await app.request("/docs");
    assert.match(page.headers.get("content-security-policy") ?? "", /default-src 'none'/);
    const files = [...(await page.text()).matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path!);
    assert.ok(files.length >= 4);
    for (const file of files) assert.equal((await app.request(file)).status, 200, file);
  });
});

describe("notFound()", () => {
  it("a path that has other methods is refused with 405 and says which", async () => {
    const app = startApp();
    const headers = { authorization: "Bearer secret" };
    const answer = await app.request("/v1/images/generations", { headers });
    assert.deepEqual([answer.status, answer.headers.get("allow")], [405, "POST"]);
    assert.equal((await answer.json()).error.code, "method_not_allowed");
    const models = await app.request("/v1/models/a/b", { method: "DELETE", headers });
    assert.deepEqual([models.status, models.headers.get("allow")], [405, "GET, HEAD"]);
    assert.equal((await app.request("/v1/nothing", { headers })).status, 404);
  });
});
