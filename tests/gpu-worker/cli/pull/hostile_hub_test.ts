// A malicious hub, or one behind an interfering proxy: what pulls write, send and accept.
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { dirname, join, relative } from "node:path";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { HubError } from "../../../../gpu-worker/cli/pull/hub_error.ts";
import { HubRepository, type HubRepositoryOptions } from "../../../../gpu-worker/cli/pull/hub_repository.ts";
import { pullSnapshot } from "../../../../gpu-worker/cli/pull/pull_snapshot.ts";
import { readRetryAfter } from "../../../../gpu-worker/cli/pull/retry_delay.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const ENDPOINT = "https://hub.test";
const INDEX = JSON.stringify({ "_class_name": "X", "..": ["x", "Y"], ".ssh": ["x", "Y"], "vae": ["x", "Y"] });
const MANY = "x".repeat(100_000);

const sha1 = (text: string) => createHash("sha1").update(`blob ${text.length}\0${text}`).digest("hex");
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const entry = (path: string, text: string, more: Record<string, unknown> = {}) => ({
  type: "file",
  path,
  size: text.length,
  oid: sha1(text),
  ...more,
});

interface Hub {
  commit?: unknown;
  files?: Readonly<Record<string, string>>;
  /** Entries in addition to those of the files. */
  entries?: readonly unknown[];
  /** Answers requests first; undefined passes them on. */
  answer?: (url: URL, headers: Headers) => Response | undefined;
}

/** Returns a hub as a fetch function, and the requests it has received. */
function hub({ commit = COMMIT, files = { "model_index.json": INDEX }, entries = [], answer }: Hub) {
  const asked: { url: URL; headers: Headers }[] = [];
  const fetch = ((input: URL, init?: RequestInit) => {
    const url = new URL(input);
    const headers = new Headers(init?.headers);
    asked.push({ url, headers });
    const given = answer?.(url, headers);
    if (given !== undefined) return Promise.resolve(given);
    if (url.pathname.includes("/revision/")) return Promise.resolve(Response.json({ sha: commit }));
    if (url.pathname.includes("/tree/")) {
      const own = Object.entries(files).map(([path, text]) => entry(path, text));
      return Promise.resolve(Response.json([...own, ...entries]));
    }
    const [, path = ""] = /\/resolve\/[^/]+\/(.+)$/.exec(url.pathname) ?? [];
    return Promise.resolve(new Response(files[decodeURIComponent(path)] ?? "", { status: 200 }));
  }) as typeof globalThis.fetch;
  return { fetch, asked };
}

let root: string;
let cache: string;
beforeEach(() => {
  root = Deno.makeTempDirSync();
  cache = join(root, "deep/deeper/cache");
  Deno.mkdirSync(cache, { recursive: true });
});
afterEach(() => Deno.removeSync(root, { recursive: true }));

const repositoryFolder = () => join(cache, "models--a--b");
const waits: number[] = [];
const wait = (ms: number) => Promise.resolve(void waits.push(ms));
beforeEach(() => waits.splice(0));

async function pull(options: Hub, more: { token?: string } = {}) {
  const { fetch, asked } = hub(options);
  const signal = new AbortController().signal;
  const pulled = await pullSnapshot("a/b", {
    endpoint: ENDPOINT,
    cache,
    signal,
    onStart: () => {},
    onBytes: () => {},
    fetch,
    wait,
    ...more,
  });
  return { ...pulled, asked };
}

function repository(options: Hub, more: Partial<HubRepositoryOptions> = {}) {
  const { fetch, asked } = hub(options);
  const signal = new AbortController().signal;
  return {
    repository: new HubRepository("a/b", { endpoint: ENDPOINT, signal, fetch, wait, ...more }),
    asked,
  };
}

/** Returns all files outside the repository's folder. */
function outside(folder = root): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    const path = join(folder, name);
    if (path === repositoryFolder()) return [];
    return isDirectory ? outside(path) : [relative(root, path)];
  });
}

async function refuses(options: Hub, message: RegExp): Promise<void> {
  await assert.rejects(pull(options), (error) => {
    assert.ok(error instanceof HubError, String(error));
    assert.match(error.message, message);
    assert.ok(error.message.length < 600, error.message);
    return true;
  });
  assert.deepEqual(outside(), []);
}

describe("pullSnapshot() from a hub that means harm", () => {
  for (
    const commit of [
      "",
      ".",
      "..",
      "../../../victim",
      "/tmp/x",
      "a\0b",
      "main\r\nX: y",
      MANY,
      7,
      null,
      COMMIT.toUpperCase(),
    ]
  ) {
    it(`refuses the commit ${JSON.stringify(commit).slice(0, 40)}`, async () => {
      await refuses({ commit }, /the commit must be 40 hexadecimal digits, but is/);
      assert.deepEqual([...Deno.readDirSync(cache)], []);
    });
  }

  for (const oid of ["", ".", "..", "../../../../victim", "/tmp/x", "a\0b", "CON", "a/b", MANY, 7, null]) {
    for (const kind of ["git", "lfs"]) {
      it(`refuses the ${kind} oid ${JSON.stringify(oid).slice(0, 40)}`, async () => {
        const lfs = kind === "lfs" ? { lfs: { oid, size: 2, pointerSize: 130 } } : { oid };
        const message = /the oid of vae\/vocab\.json must be (40|64) hexadecimal digits, but is/;
        await refuses({ entries: [entry("vae/vocab.json", "{}", lfs)] }, message);
      });
    }
  }

  for (
    const path of [
      "../config.json",
      "vae/../../x",
      "/etc/passwd",
      "vae//x",
      "./x",
      "",
      "a\\..\\b",
      "C:x",
      "a\0b",
      MANY,
    ]
  ) {
    it(`refuses the path ${JSON.stringify(path).slice(0, 40)}`, async () => {
      await refuses({ entries: [entry(path, "{}")] }, /a file's path must be relative and stay inside/);
    });
  }

  for (const size of [-1, 0.5, 1e300, "7", null]) {
    it(`refuses the size ${JSON.stringify(size)}`, async () => {
      await refuses(
        { entries: [entry("vae/x", "{}", { size })] },
        /the size of vae\/x must be a count, but is/,
      );
    });
  }

  it("takes no folder for a component that no Python class could have", async () => {
    const files = { "model_index.json": INDEX, ".ssh/config.json": "{}", "vae/vocab.json": "{}" };
    const { folder } = await pull({ files });
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [
      "model_index.json",
      "vae",
    ]);
    assert.deepEqual(outside(), []);
  });

  it("refuses an index that is none", async () => {
    for (const index of ["null", "[]", "7", "{"]) {
      await refuses({ files: { "model_index.json": index } }, /model_index\.json is not (a )?JSON/);
    }
    const huge = [entry("model_index.json", "{}", { size: 2 ** 50 })];
    await refuses({ files: {}, entries: huge }, /that is no index/);
  });

  it("replaces links that lead nowhere or elsewhere, and leaves files in their place", async () => {
    const files = { "model_index.json": INDEX, "vae/vocab.json": "{}", "vae/merges.txt": "a b" };
    const { folder } = await pull({ files });
    const [dead, other, file] = ["model_index.json", "vae/vocab.json", "vae/merges.txt"].map((name) =>
      join(folder, name)
    ) as [string, string, string];
    for (const path of [dead, other, file]) Deno.removeSync(path);
    Deno.symlinkSync("/nowhere/blobs/abc", dead);
    Deno.symlinkSync(join(dirname(other), "..", "..", "..", "refs", "main"), other);
    Deno.writeTextFileSync(file, "mine");
    await pull({ files });
    assert.deepEqual([dead, other, file].map((path) => Deno.readTextFileSync(path)), [INDEX, "{}", "mine"]);
  });
});

describe("HubRepository", () => {
  const nextPage = (url: string) => ({
    answer: ({ pathname }: URL) =>
      pathname.includes("/tree/")
        ? Response.json([entry("x", "")], { headers: { Link: `<${url}>; rel="next"` } })
        : undefined,
  });

  it("sends the token to the endpoint's origin alone", async () => {
    let pages = 0;
    const { repository: own, asked } = repository({
      answer: ({ pathname }) => {
        if (!pathname.includes("/tree/")) return undefined;
        const link = pages++ === 0 ? { Link: `<https://evil.test/tree/2>; rel="next"` } : undefined;
        return Response.json([entry("x", "")], { headers: link ?? {} });
      },
    }, { token: "hf_secret" });
    await own.files(COMMIT);
    await own.open("x", { commit: COMMIT, offset: 0 });
    assert.deepEqual(asked.map(({ url, headers }) => [url.host, headers.get("Authorization")]), [
      ["hub.test", "Bearer hf_secret"],
      ["evil.test", null],
      ["hub.test", "Bearer hf_secret"],
    ]);
  });

  it("ends a listing without an end", async () => {
    const { repository: endless, asked } = repository(nextPage(`${ENDPOINT}/api/models/a/b/tree/x`));
    await assert.rejects(endless.files(COMMIT), /its listing is longer than 1000 pages/);
    assert.equal(asked.length, 1000);
  });

  it("ends an answer without an end", async () => {
    const chunk = new TextEncoder().encode(" ".repeat(2 ** 24));
    const { repository: endless } = repository({
      answer: () => new Response(new ReadableStream({ pull: (controller) => controller.enqueue(chunk) })),
    });
    await assert.rejects(endless.files(COMMIT), /its listing is longer than 268435456 bytes/);
  });

  it("refuses an answer that is none", async () => {
    for (const text of ["", "{", "null", "7", "{}", MANY]) {
      const { repository: odd } = repository({ answer: () => new Response(text) });
      await assert.rejects(odd.files(COMMIT), (error: Error) => {
        assert.match(error.message, /Cannot pull a\/b as https:\/\/hub\.test sends an unexpected answer/);
        return error.message.length < 400;
      });
    }
  });

  it("asks again where the API is busy, after the pause that it asks for", async () => {
    const busy = [503, 429, 429, 500];
    const headers = [{}, { "Retry-After": "7" }, { "Retry-After": "1000000" }, { "Retry-After": "soon" }];
    const { repository: late } = repository({
      answer: () => {
        const status = busy.shift();
        return status === undefined
          ? undefined
          : new Response("busy", { status, headers: headers.shift()! as HeadersInit });
      },
    });
    assert.equal(await late.commit("main"), COMMIT);
    assert.deepEqual(waits, [500, 7000, 300_000, 4000]);
  });

  it("gives up where the API stays busy, and at once where it refuses", async () => {
    for (const [status, asked] of [[503, 5], [429, 5], [400, 1], [403, 1], [404, 1]]) {
      const { repository: away, asked: requests } = repository({
        answer: () => new Response("", { status: status! }),
      });
      await assert.rejects(away.commit("main"), HubError);
      assert.equal(requests.length, asked, String(status));
    }
  });

  it("reads Retry-After as seconds and as a date", () => {
    const now = Date.parse("2026-01-01T00:00:00Z");
    assert.equal(readRetryAfter("3", now), 3000);
    assert.equal(readRetryAfter("Thu, 01 Jan 2026 00:00:09 GMT", now), 9000);
    assert.equal(readRetryAfter("Wed, 31 Dec 2025 00:00:00 GMT", now), 0);
    assert.equal(readRetryAfter("soon", now), undefined);
    assert.equal(readRetryAfter(null, now), undefined);
  });

  it("takes the whole file where a range is refused, or sent compressed", async () => {
    const answers = [
      () => new Response("", { status: 416 }),
      () =>
        new Response(new Uint8Array(gzipSync("world")), {
          status: 206,
          headers: { "Content-Encoding": "gzip" },
        }),
    ];
    for (const refused of answers) {
      const { repository: proxied } = repository({
        files: { x: "hello world" },
        answer: (_, headers) => headers.has("Range") ? refused() : undefined,
      });
      const response = await proxied.open("x", { commit: COMMIT, offset: 6 });
      assert.deepEqual([response.status, await response.text()], [200, "hello world"]);
    }
  });

  it("undoes a compression that nobody asked for", async () => {
    const encodings = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync };
    for (const [name, encode] of Object.entries(encodings)) {
      const { repository: proxied } = repository({
        answer: () =>
          new Response(new Uint8Array(encode("hello")), { headers: { "Content-Encoding": name } }),
      });
      assert.equal(await (await proxied.open("x", { commit: COMMIT, offset: 0 })).text(), "hello");
    }
    const { repository: odd } = repository({
      answer: () => new Response("", { headers: { "Content-Encoding": MANY } }),
    });
    await assert.rejects(odd.open("x", { commit: COMMIT, offset: 0 }), /in the unsupported encoding 'xxx/);
  });

  it("finds a file whose name means something in an address", async () => {
    const { repository: odd, asked } = repository({ files: { "a b/#1?.json": "{}" } });
    assert.equal(await (await odd.open("a b/#1?.json", { commit: COMMIT, offset: 0 })).text(), "{}");
    assert.equal(asked[0]!.url.pathname, `/a/b/resolve/${COMMIT}/a%20b/%231%3F.json`);
  });

  it("says that its address is none", () => {
    assert.throws(() => repository({}, { endpoint: "hub" }), /HF_ENDPOINT must be an address, but is 'hub'/);
  });

  it("names files by the checksums of their content", async () => {
    const lfs = { oid: sha256("x"), size: 1, pointerSize: 130 };
    const { repository: plain } = repository({
      files: {},
      entries: [entry("a", "x", { lfs }), { type: "directory" }],
    });
    assert.deepEqual(await plain.files(COMMIT), [{ path: "a", size: 1, oid: sha256("x"), lfs: true }]);
  });
});
