// `deno task pull` against a server with the hub's routes: the downloaded files, the cache's layout, and what
// interruptions and errors leave.
import { after, before, beforeEach, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { selectPipelineFiles } from "../../../../gpu-worker/cli/pull/select_pipeline_files.ts";
import { parseHubName } from "../../../../gpu-worker/checkpoint/hub_cache.ts";
import { readModel } from "../../../../gpu-worker/model/read_model.ts";
import { goldenPath } from "../../../goldens/golden.ts";
import { COMMIT, HubServer, type HubServerOptions, REPOSITORY, TOKEN } from "./hub_server.ts";
import { Twin } from "../../checkpoint/single_file/twin.ts";
import { runTask, startTask } from "../run_task.ts";

const WEIGHTS = "transformer/diffusion_pytorch_model.safetensors";
const BYTES = new Uint8Array(10);

let root: string;
let cache: string;
let count = 0;
before(() => {
  root = Deno.makeTempDirSync();
});
after(() => Deno.removeSync(root, { recursive: true }));
beforeEach(() => {
  cache = join(root, String(count++));
});

const serve = (options: Partial<HubServerOptions> = {}) =>
  new HubServer({ folder: goldenPath("flux/tiny-schnell"), ...options });
const environment = ({ url }: HubServer) => ({
  HF_ENDPOINT: url,
  HF_HUB_CACHE: cache,
  HF_HOME: cache,
  HF_TOKEN: "",
});
const repository = () => join(cache, "models--tiny-org--tiny-schnell");
const blobs = () => [...Deno.readDirSync(join(repository(), "blobs"))].map(({ name }) => name).sort();

async function pull(server: HubServer, args: readonly string[] = [REPOSITORY]) {
  return await runTask("pull", args, environment(server));
}

/** Pulls, expects an error, and returns its one line. */
async function refusal(server: HubServer, args: readonly string[] = [REPOSITORY]): Promise<string> {
  const { code, stdout, stderr } = await pull(server, args);
  assert.deepEqual([code, stdout, stderr.trim().split("\n").length], [1, "", 1], stderr);
  return stderr;
}

describe("deno task pull", () => {
  it("fetches a pipeline's files into the cache's layout, where generate finds them", async () => {
    await using server = serve({
      extra: {
        "README.md": BYTES,
        "flux1-schnell.safetensors": BYTES,
        "transformer/diffusion_pytorch_model.fp16.safetensors": BYTES,
        "transformer/diffusion_pytorch_model.bin": BYTES,
        "vae/model.onnx": BYTES,
        "text_encoder/flax_model.msgpack": BYTES,
        "safety_checker/model.safetensors": BYTES,
      },
    });
    const { code, stdout, stderr } = await pull(server);
    assert.equal(code, 0, stderr);
    const snapshot = join(repository(), "snapshots", COMMIT);
    assert.equal(stdout.split("\n")[0], snapshot);
    assert.equal(Deno.readTextFileSync(join(repository(), "refs", "main")), COMMIT);
    assert.match(Deno.readLinkSync(join(snapshot, WEIGHTS)), /^\.\.\/\.\.\/\.\.\/blobs\/[0-9a-f]{64}$/);
    assert.deepEqual(
      server.requests.filter((request) => /README|flux1|fp16|bin|onnx|flax|safety/.test(request)),
      [],
    );
    const out = join(cache, "picture.png");
    const drawn = await runTask(
      "generate",
      ["--model", REPOSITORY, "--prompt", "x", "--steps", "1", "--out", out],
      environment(server),
    );
    assert.equal(drawn.code, 0, drawn.stderr);

    const before = server.requests.length;
    assert.equal((await pull(server)).code, 0);
    assert.equal(server.requests.length, before, "a second pull fetches nothing");
  });

  it("takes the precision that is asked for, which is then run", async () => {
    const variant = WEIGHTS.replace(".safetensors", ".fp16.safetensors");
    const weights = Deno.readFileSync(join(goldenPath("flux/tiny-schnell"), WEIGHTS));
    await using server = serve({ extra: { [variant]: weights, [WEIGHTS]: BYTES } });
    const { code, stderr } = await pull(server, [REPOSITORY, "--variant", "fp16"]);
    assert.equal(code, 0, stderr);
    assert.ok(!server.requests.includes(`GET ${WEIGHTS}`));
    const { checkpoint } = readModel(join(repository(), "snapshots", COMMIT));
    assert.ok(checkpoint.components().some(({ name }) => name === "transformer"));
  });

  it("fetches configs and tokenizers alone, or with some weights, which single files need", async () => {
    await using server = serve({ folder: goldenPath("flux/tiny-dev") });
    const weights = () => server.requests.filter((request) => request.endsWith(".safetensors"));
    const { code, stdout, stderr } = await pull(server, [REPOSITORY, "--config-only"]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /use it as --components tiny-org\/tiny-schnell/);
    assert.deepEqual(weights(), []);
    using twin = new Twin("flux-dev");
    const out = join(cache, "picture.png");
    const args = ["--model", twin.path, "--prompt", "x", "--steps", "1", "--out", out];
    const drawn = await runTask("generate", [...args, "--components", REPOSITORY], environment(server));
    assert.equal(drawn.code, 0, drawn.stderr);
    assert.equal((await pull(server, [REPOSITORY, "--only", "vae, text_encoder"])).code, 0);
    assert.deepEqual(weights().sort(), [
      "GET text_encoder/model.safetensors",
      "GET vae/diffusion_pytorch_model.safetensors",
    ]);
    assert.match(await refusal(server, [REPOSITORY, "--only", "unet"]), /no such component: it has /);
  });

  it("goes on where Ctrl-C stopped it", async () => {
    await using server = serve();
    server.stall.set(WEIGHTS, 100_000);
    const child = startTask("pull", [REPOSITORY], environment(server));
    await partOf(100_000);
    child.kill("SIGINT");
    const { code } = await child.output();
    assert.equal(code, 130);
    assert.deepEqual([...Deno.readDirSync(repository())].map(({ name }) => name), ["blobs"]);
    server.stall.clear();
    const { code: second, stderr } = await pull(server);
    assert.equal(second, 0, stderr);
    assert.ok(server.requests.includes(`GET ${WEIGHTS} from 100000`), server.requests.join("\n"));
    assert.deepEqual(blobs().filter((name) => name.endsWith(".incomplete")), []);
  });

  it("goes on from the same byte where it was killed, without a chance to end in order", async () => {
    await using server = serve();
    server.stall.set(WEIGHTS, 100_000);
    // Start the process directly: a task's child would outlive the task.
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "gpu-worker/cli/pull.ts", REPOSITORY],
      stdout: "null",
      stderr: "null",
      env: environment(server),
    }).spawn();
    await partOf(100_000);
    child.kill("SIGKILL");
    await child.status;
    server.stall.clear();
    const asked = server.requests.length;
    const { code, stderr } = await pull(server);
    assert.equal(code, 0, stderr);
    assert.ok(server.requests.slice(asked).includes(`GET ${WEIGHTS} from 100000`));
    assert.deepEqual(blobs().filter((name) => name.endsWith(".incomplete")), []);
  });

  it("goes on by itself when the connection breaks", async () => {
    await using server = serve();
    server.breakOnce.set(WEIGHTS, 50_000);
    const { code, stderr } = await pull(server);
    assert.equal(code, 0, stderr);
    assert.deepEqual(server.requests.filter((request) => request.startsWith(`GET ${WEIGHTS}`)), [
      `GET ${WEIGHTS}`,
      `GET ${WEIGHTS} from 50000`,
    ]);
  });

  it("refuses content that differs from the hub's list, and keeps none of it", async () => {
    for (const path of [WEIGHTS, "vae/config.json"]) {
      await using server = serve();
      cache = join(root, path);
      server.corrupt.add(path);
      assert.match(
        await refusal(server),
        new RegExp(`Cannot use ${path} as its checksum is [0-9a-f]+: the hub lists`),
      );
      assert.deepEqual(blobs().filter((name) => name.startsWith(server.oid(path))), []);
      server.corrupt.clear();
      assert.equal((await pull(server)).code, 0);
    }
  });

  it("names the hub's refusal in one line", async () => {
    await using open = serve();
    assert.match(await refusal(open, ["tiny-org/other"]), /tiny-org\/other as .* has no such model/);
    assert.match(await refusal(open, [REPOSITORY, "--revision", "v9"]), /there is no such revision/);
    open.claimed.set(WEIGHTS, 2 ** 60);
    assert.match(await refusal(open), /GiB are missing and .* has space for/);
    await using gated = serve({ gated: true });
    assert.match(await refusal(gated), /accept its terms at .* and pass --token or set HF_TOKEN/);
    assert.equal((await pull(gated, [REPOSITORY, "--token", TOKEN])).code, 0);
    await using denied = serve({ gated: "denied" });
    cache = `${cache}-denied`;
    assert.match(await refusal(denied, ["--token", TOKEN, REPOSITORY]), /use a token of that account/);
  });

  it("ends with code 2 for an impossible model name", async () => {
    await using server = serve();
    const { code, stderr } = await pull(server, ["../../etc"]);
    assert.deepEqual([code, stderr.trim().split("\n").length], [2, 1], stderr);
  });

  it("calls no hub where HF_HUB_OFFLINE forbids it", async () => {
    await using server = serve();
    const { code, stderr } = await runTask("pull", [REPOSITORY], {
      ...environment(server),
      HF_HUB_OFFLINE: "1",
    });
    assert.equal(code, 2);
    assert.match(stderr, /HF_HUB_OFFLINE forbids calls of the hub/);
    assert.deepEqual(server.requests, []);
  });
});

describe("parseHubName()", () => {
  it("reads ORG/NAME with or without a revision, and nothing that leads out of the cache", () => {
    assert.deepEqual(parseHubName("a/b"), { repository: "a/b" });
    assert.deepEqual(parseHubName("a/b@refs/pr/1"), { repository: "a/b", revision: "refs/pr/1" });
    for (const name of ["a", "a/b/c", "../b", "a/..", "a/b@../x", "a/b@", "a/b@/etc"]) {
      assert.equal(parseHubName(name), undefined, name);
    }
  });
});

describe("selectPipelineFiles()", () => {
  const index = { _class_name: "X", transformer: ["diffusers", "T"], image_encoder: [null, null] };
  const select = (paths: string[], variant?: string) =>
    selectPipelineFiles(paths.map((path) => ({ path, size: 1, oid: path, lfs: true })), { index, variant })
      .map(({ path }) => path);
  const stem = "transformer/diffusion_pytorch_model";
  const plain = [
    `${stem}.safetensors.index.json`,
    `${stem}-00001-of-00002.safetensors`,
    `${stem}-00002-of-00002.safetensors`,
  ];
  const half = [`${stem}.safetensors.index.fp16.json`, `${stem}.fp16-00001-of-00001.safetensors`];

  it("takes shards in the precision that is asked for", () => {
    const config = "transformer/config.json";
    const all = [...plain, ...half, config];
    assert.deepEqual(select(all), [config, ...plain]);
    assert.deepEqual(select(all, "fp16"), [config, ...half]);
    assert.deepEqual(select([config, ...plain], "fp16"), [config, ...plain]);
  });

  it("refuses a component without safetensors, naming the files that it has", () => {
    assert.throws(
      () => select(["transformer/config.json", `${stem}.bin`]),
      /'transformer' as it holds no full-precision safetensors: there is diffusion_pytorch_model\.bin/,
    );
  });
});

/** Resolves when the cache has a part of `bytes` bytes. */
async function partOf(bytes: number): Promise<void> {
  const folder = join(repository(), "blobs");
  Deno.mkdirSync(folder, { recursive: true });
  const sizes = () => blobs().map((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.size);
  using watcher = Deno.watchFs(folder);
  // It may be there already.
  if (sizes().includes(bytes)) return;
  for await (const _ of watcher) if (sizes().includes(bytes)) return;
}
