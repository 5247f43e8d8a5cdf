// Constants that apps have built in: models' names, sizes, formats, and a base URL of their own spelling.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { MemoryResultStore } from "../../../protocol/store/results/memory_result_store.ts";
import { createApp } from "../../../routes/app.ts";
import { MemoryKeyStore } from "../../../routes/keys/memory_key_store.ts";
import { parseModelAliases } from "../../../routes/runs/model_aliases.ts";
import { FakePipeline } from "../../gpu-worker/http/fake_pipeline.ts";
import { startTestWorker } from "../../gpu-worker/http/test_worker.ts";
import { testPool } from "../runs/pool.ts";

const LOCAL = { remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 } } as const;
const ALIASES =
  "dall-e-3=pictures,gpt-image-1=fake,sora-2=videos,strict=fake;size=exact,lost=elsewhere,gpt-image-*=fake";

function start() {
  const worker = startTestWorker([new FakePipeline(), new FakePipeline({ id: "moving", video: true })]);
  const app = createApp({
    workers: testPool(worker.url),
    results: new MemoryResultStore(),
    keys: [],
    keyStore: new MemoryKeyStore(),
    aliases: parseModelAliases(ALIASES),
    log: () => {},
  });
  const ask = async (method: string, path: string, body?: object | FormData) => {
    const isForm = body instanceof FormData;
    const response = await app.request(`http://localhost${path}`, {
      method,
      ...body && { body: isForm ? body : JSON.stringify(body) },
      ...body && !isForm && { headers: { "content-type": "application/json" } },
    }, LOCAL);
    return { status: response.status, body: await response.json() };
  };
  const generate = (fields: object) => ask("POST", "/v1/images/generations", { prompt: "x", ...fields });
  return { worker, ask, generate };
}

describe("names and sizes that apps have built in", () => {
  it("an alias draws in the nearest size and answers as OpenAI's model of that name does", async () => {
    const { worker, generate } = start();
    await using _worker = worker;
    const { body } = await generate({ model: "dall-e-3", size: "1792x1024", quality: "hd", n: "1" });
    assert.deepEqual([body.size, body.model], ["24x16", "fake"]);
    const [{ url, b64_json, receipt }] = body.data;
    assert.match(url, /^http:\/\/localhost\/files\/[0-9a-f]{64}\.png\?/);
    assert.equal(b64_json, undefined);
    assert.deepEqual([receipt.model, receipt.width], ["fake", 24]);
    assert.deepEqual(receipt.warnings, ["dall-e-3 is fake here, so the size is 24x16 instead of 1792x1024."]);

    const told = await generate({ model: "dall-e-3", response_format: "b64_json" });
    assert.deepEqual(Object.keys(told.body.data[0]), ["b64_json", "seed", "receipt"]);
    assert.equal(told.body.data[0].receipt.warnings, undefined);
    const newer = await generate({ model: "gpt-image-1", size: "1024x1024" });
    assert.deepEqual([newer.body.size, typeof newer.body.data[0].b64_json], ["16x16", "string"]);
  });

  it("a beginning stands for every later name, and is not listed", async () => {
    const { worker, ask, generate } = start();
    await using _worker = worker;
    const fields = { safety_identifier: "u-1", complexity: "low", quality: "max" };
    const { status, body } = await generate({
      model: "gpt-image-2.5",
      size: "1024x1024",
      seed: 1,
      ...fields,
    });
    assert.deepEqual([status, body.model, body.size], [200, "fake", "16x16"]);
    assert.match(body.data[0].receipt.warnings[0], /^gpt-image-2\.5 is fake here/);
    const { body: { data } } = await ask("GET", "/v1/models");
    assert.ok(!data.some(({ id }: { id: string }) => id.includes("*")));
    assert.equal((await generate({ model: "gpt-4o" })).status, 404);
  });

  it("an alias with exact sizes, and a model's own name, take the client's size or refuse it", async () => {
    const { worker, generate } = start();
    await using _worker = worker;
    for (const model of ["strict", "fake"]) {
      const { status, body } = await generate({ model, size: "1024x1024" });
      assert.deepEqual([status, body.error.param], [400, "size"]);
    }
  });

  it("answers a transparent background with an opaque picture whose receipt says so", async () => {
    const { worker, generate } = start();
    await using _worker = worker;
    const { status, body } = await generate({ background: "transparent", seed: 3 });
    assert.deepEqual([status, body.background], [200, "opaque"]);
    assert.match(body.data[0].receipt.warnings[0], /no transparent pictures/);
    // The stored picture is everybody's, and says nothing of this request.
    const again = await generate({ seed: 3 });
    assert.deepEqual([again.body.data[0].receipt.cache, again.body.data[0].receipt.warnings], [
      "hit",
      undefined,
    ]);
  });

  it("seed -1 is drawn anew each time", async () => {
    const { worker, generate } = start();
    await using _worker = worker;
    const seeds = await Promise.all([1, 2].map(async () => (await generate({ seed: -1 })).body.data[0].seed));
    assert.notEqual(seeds[0], seeds[1]);
  });

  it("an image that is edited under an alias becomes the nearest size", async () => {
    const { worker, ask } = start();
    await using _worker = worker;
    const { body: made } = await ask("POST", "/v1/images/generations", { prompt: "x", size: "24x16" });
    const form = new FormData();
    form.set("model", "gpt-image-1");
    form.set("prompt", "x");
    form.set("n", "1");
    form.set(
      "image",
      new File([Uint8Array.fromBase64(made.data[0].b64_json)], "x.png", { type: "image/png" }),
    );
    form.set("size", "1536x512");
    const { status, body } = await ask("POST", "/v1/images/edits", form);
    assert.deepEqual([status, body.size], [200, "24x8"]);
  });

  it("a video under an alias is as long as the model reaches, and has the requested name", async () => {
    const { worker, ask } = start();
    await using _worker = worker;
    const fields = { model: "sora-2", prompt: "x", seconds: "12", size: "720x1280", output_format: "gif" };
    const { status, body } = await ask("POST", "/v1/videos", fields);
    assert.deepEqual(
      [status, body.model, body.size, body.seconds],
      [200, "sora-2", "16x24", "8"],
      body.error?.message,
    );
  });

  it("GET /v1/models lists aliases that have a model, and a 404 names the models", async () => {
    const { worker, ask, generate } = start();
    await using _worker = worker;
    const { body } = await ask("GET", "/v1/models");
    assert.deepEqual(
      body.data.map(({ id, alias_of }: { id: string; alias_of?: string }) => [id, alias_of]),
      [
        ["fake", undefined],
        ["moving", undefined],
        ["dall-e-3", "fake"],
        ["gpt-image-1", "fake"],
        ["sora-2", "moving"],
        ["strict", "fake"],
      ],
    );
    assert.equal((await ask("GET", "/v1/models/dall-e-3")).body.alias_of, "fake");
    for (const model of ["dall-e-4", "lost"]) {
      const { status, body: { error } } = await generate({ model });
      assert.deepEqual([status, error.code], [404, "model_not_found"]);
      assert.match(error.message, /There is fake, moving, dall-e-3, gpt-image-1, sora-2, strict$/);
    }
  });

  it("paths are taken with a slash at the end, without /v1 and with two of it", async () => {
    const { worker, ask } = start();
    await using _worker = worker;
    const body = { prompt: "x", seed: 1 };
    for (const base of ["/v1", "", "/v1/v1", "//v1", "/v1/"]) {
      for (const end of ["", "/"]) {
        const path = `${base}/images/generations${end}`;
        assert.equal((await ask("POST", path, body)).status, 200, path);
      }
    }
    assert.equal((await ask("GET", "/models/?x=1")).body.data[0].id, "fake");
    assert.equal((await ask("GET", "/v1/models/moving/")).body.id, "moving");
    // A picture's address is no call of the API.
    assert.equal((await ask("GET", "/files/abc.png")).status, 403);
    assert.equal((await ask("GET", "/files/file-abc")).body.error.code, "batches_unavailable");
    assert.equal((await ask("GET", "/v1/nothing")).status, 404);
  });
});
