import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { ASSETS } from "../../../routes/page/assets.ts";
import { pageRoutes } from "../../../routes/page/mod.ts";
import * as samplerTable from "../../../routes/page/browser/sampler_table.js";

const app = pageRoutes();

describe("ASSETS", () => {
  it("ASSETS contains every file of browser/, and the page names no other", () => {
    const folder = new URL("../../../routes/page/browser/", import.meta.url);
    const files = [...Deno.readDirSync(folder)].map(({ name }) => name)
      .filter((name) => name !== "deno.json" && !name.endsWith(".d.ts"));
    assert.deepEqual(Object.keys(ASSETS).sort(), files.sort());
    for (const [, name] of ASSETS["index.html"]!.matchAll(/"\/page\/([^"]*)"/g)) {
      assert.ok(name! in ASSETS, `${name} is an asset`);
    }
  });

  it("ASSETS keep to the content security policy: no inline code or style, no other host", () => {
    const html = ASSETS["index.html"]!;
    assert.doesNotMatch(html, /<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=/i);
    for (const [name, text] of Object.entries(ASSETS)) {
      const urls = [...text.matchAll(/https?:\/\/[^\s"')]+/g)].map(([url]) => url);
      assert.deepEqual(urls.filter((url) => !url.startsWith("http://www.w3.org/")), [], name);
    }
  });
});

describe("sampler_table.js", () => {
  it("has the same exports in browsers as on disk", async () => {
    const served = await import(`data:text/javascript,${encodeURIComponent(ASSETS["sampler_table.js"]!)}`);
    assert.deepEqual({ ...served }, JSON.parse(JSON.stringify(samplerTable)));
  });
});

describe("pageRoutes()", () => {
  it("pageRoutes() serves each file with its type and the policy", async () => {
    const types = { html: /^text\/html/, css: /^text\/css/, js: /^text\/javascript/, svg: /^image\/svg/ };
    for (const name of Object.keys(ASSETS)) {
      const response = await app.request(name === "index.html" ? "/" : `/page/${name}`);
      assert.equal(response.status, 200, name);
      const type = response.headers.get("content-type") ?? "";
      assert.match(type, types[name.split(".")[1] as keyof typeof types], name);
      assert.equal(
        response.headers.get("content-security-policy"),
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
          "media-src blob:; connect-src 'self'; " +
          "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
      );
      assert.ok((await response.text()).length > 0, name);
    }
  });

  it("pageRoutes() answers 304 to a matching ETag", async () => {
    const etag = (await app.request("/page/main.js")).headers.get("etag") ?? "";
    const again = await app.request("/page/main.js", { headers: { "if-none-match": etag } });
    assert.equal(again.status, 304);
    const other = await app.request("/page/slots.js", { headers: { "if-none-match": etag } });
    assert.equal(other.status, 200);
  });

  it("pageRoutes() has nothing else, and leaves its neighbours alone", async () => {
    for (
      const path of [
        "/page/",
        "/page/missing.js",
        "/page/constructor",
        "/page/..%2fmod.ts",
        "/page/wire.d.ts",
      ]
    ) {
      assert.equal((await app.request(path)).status, 404, path);
    }
    const neighbour = pageRoutes().get("/v1/models", (context) => context.json({}));
    const response = await neighbour.request("/v1/models");
    assert.equal(response.headers.get("content-security-policy"), null);
    assert.equal(response.headers.get("etag"), null);
  });
});
