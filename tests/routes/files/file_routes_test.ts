import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Hono } from "hono";
import type { CompletedEvent } from "../../../protocol/wire/run_event.ts";
import type { Environment } from "../../../routes/middleware/environment.ts";
import { pictureUrl } from "../../../routes/files/deliver_picture.ts";
import { fileRoutes } from "../../../routes/files/file_routes.ts";
import { SignedUrls } from "../../../routes/files/signed_urls.ts";
import { handleError } from "../../../protocol/http/handle_error.ts";
import { MemoryResultStore } from "../../../protocol/store/results/memory_result_store.ts";

const BYTES = Uint8Array.from({ length: 100 }, (_, index) => index);
const KEY = "ab".repeat(32);
const EVENT = {
  type: "completed",
  b64_json: BYTES.toBase64(),
  receipt: { seed: 1 },
  image_tokens: 1,
} as CompletedEvent;

function start({ maxBytes }: { maxBytes?: number } = {}) {
  let now = 1_000_000;
  const results = new MemoryResultStore(maxBytes === undefined ? {} : { maxBytes });
  const urls = new SignedUrls({ now: () => now, lifetimeSeconds: 60 });
  const app = new Hono<Environment>().route("/", fileRoutes({ urls, results }));
  app.onError(handleError({ log: () => {} }));
  const options = { results, urls, origin: "http://edge", output_format: "png", key: KEY } as const;
  return {
    get: (url: string, headers: Record<string, string> = {}, method = "GET") =>
      app.request(url, { method, headers }),
    address: () => pictureUrl(EVENT, options),
    pass: (ms: number) => void (now += ms),
  };
}

describe("fileRoutes()", () => {
  it("a signed address gives the picture, its type, its hash and how long it may be kept", async () => {
    const { get, address, pass } = start();
    const url = await address();
    assert.match(url, /^http:\/\/edge\/files\/(ab){32}\.png\?expires=1060&signature=[0-9a-f]{64}$/);
    pass(20_000);
    const answer = await get(url);
    assert.deepEqual(await answer.bytes(), BYTES);
    assert.equal(answer.headers.get("content-type"), "image/png");
    assert.equal(answer.headers.get("cache-control"), "private, max-age=40, immutable");
    assert.equal(answer.headers.get("accept-ranges"), "bytes");
    const etag = answer.headers.get("etag")!;
    for (const tag of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
      const known = await get(url, { "if-none-match": tag });
      assert.deepEqual([known.status, await known.text()], [304, ""], tag);
    }
    assert.equal((await get(url, { "if-none-match": '"other"' })).status, 200);
    const head = await get(url, {}, "HEAD");
    assert.deepEqual([head.status, await head.text(), head.headers.get("etag")], [200, "", etag]);
  });

  it("ranges are given where they lie in the file and the file is the one asked for", async () => {
    const { get, address } = start();
    const url = await address();
    const etag = (await get(url)).headers.get("etag")!;
    const cases: [string, number, number, number][] = [
      ["bytes=0-9", 206, 0, 10],
      ["bytes=90-", 206, 90, 100],
      ["bytes=-5", 206, 95, 100],
      ["bytes=-500", 206, 0, 100],
      ["bytes=50-1000", 206, 50, 100],
      ["bytes=0-0", 206, 0, 1],
      // Not understood, or several: the whole.
      ["bytes=9-1", 200, 0, 100],
      ["bytes=0-1,3-4", 200, 0, 100],
      ["lines=0-1", 200, 0, 100],
      ["bytes=-", 200, 0, 100],
    ];
    for (const [range, status, start, end] of cases) {
      const answer = await get(url, { range });
      assert.equal(answer.status, status, range);
      assert.deepEqual(await answer.bytes(), BYTES.slice(start, end), range);
      const shown = answer.headers.get("content-range");
      assert.equal(shown, status === 206 ? `bytes ${start}-${end - 1}/100` : null, range);
    }
    for (const range of ["bytes=100-", "bytes=-0"]) {
      const beyond = await get(url, { range });
      assert.deepEqual([beyond.status, beyond.headers.get("content-range")], [416, "bytes */100"]);
    }
    assert.equal((await get(url, { range: "bytes=0-9", "if-range": etag })).status, 206);
    assert.equal((await get(url, { range: "bytes=0-9", "if-range": '"other"' })).status, 200);
  });

  it("other names, other times, other signatures and expired ones are refused", async () => {
    const { get, address, pass } = start();
    const url = await address();
    const refused = async (changed: string) => {
      const answer = await get(changed);
      return [answer.status, (await answer.json()).error.code];
    };
    for (
      const changed of [
        url.replace("expires=1060", "expires=9999"),
        url.replace("/ab", "/ac"),
        url.replace(".png", ".webp"),
        url.replace(/signature=..../, "signature=0000"),
        url.replace(/&signature.*/, ""),
        url.replace(/\?.*/, ""),
        await start().address(),
      ]
    ) assert.deepEqual(await refused(changed), [403, "invalid_url"], changed);
    pass(60_000);
    assert.deepEqual(await refused(url), [403, "expired_url"]);
  });
});

describe("pictureUrl()", () => {
  it("a picture that the store does not keep becomes a data URL", async () => {
    const { address } = start({ maxBytes: 100 });
    assert.equal(await address(), `data:image/png;base64,${BYTES.toBase64()}`);
  });
});
