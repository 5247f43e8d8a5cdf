// Converted weights on disk: kept, found again, and never half written.
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { CheckpointError } from "../../../gpu-worker/checkpoint/checkpoint_error.ts";
import { readTensors } from "../../../gpu-worker/checkpoint/read_tensors.ts";
import { GraphBuilder, type OnnxModel } from "../../../gpu-worker/graph/graph_builder.ts";
import { encodeSafetensors } from "../../../gpu-worker/media/encode_safetensors.ts";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import type { OpenPipelineOptions } from "../../../gpu-worker/model/open_pipeline_options.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import { WeightStore } from "../../../gpu-worker/session/weight_store.ts";
import { goldenPath } from "../../goldens/golden.ts";

const [OUT, IN] = [2000, 1024];

let folder: string;
let source: string;
let kept: string;
beforeEach(() => {
  folder = Deno.makeTempDirSync();
  source = join(folder, "x.safetensors");
  kept = join(folder, "kept");
  writeSource(1);
});
afterEach(() => Deno.removeSync(folder, { recursive: true }));

function writeSource(factor: number): void {
  const data = Float32Array.from({ length: OUT * IN }, (_, i) => factor * Math.sin(i));
  Deno.writeFileSync(source, encodeSafetensors([{ name: "w", dims: [OUT, IN], data }]));
}

function model(bits: 8 | 4 = 8): OnnxModel {
  const weights = new Map([["w", {
    ...readTensors(source).get("w")!,
    quantization: { bits, blockSize: 32 },
  }]]);
  const graph = new GraphBuilder({ name: "some graph", weights, dtype: "float32" });
  graph.output("scales", graph.blockMatrix("w", [OUT, IN])!.scales, [OUT, IN / 32]);
  return graph.build();
}

function filesIn(path: string): { name: string; ino: number | null; size: number }[] {
  return [...Deno.readDirSync(path)].map(({ name }) => {
    const { ino, size } = Deno.statSync(join(path, name));
    return { name, ino, size };
  }).sort((a, b) => a.name < b.name ? -1 : 1);
}

async function place(options: ConstructorParameters<typeof WeightStore>[0], bits?: 8 | 4): Promise<void> {
  using store = new WeightStore(options);
  await store.place(model(bits));
}

describe("WeightStore", () => {
  it("keeps one file for a graph and finds it again", async () => {
    await place({ folder: kept });
    const first = filesIn(kept);
    assert.equal(first.length, 1);
    assert.match(first[0]!.name, /^some-graph-[0-9a-f]{32}\.weights$/);
    assert.equal(first[0]!.size, OUT * IN + OUT * IN / 32 * 4);
    await place({ folder: kept });
    assert.deepEqual(filesIn(kept), first);
  });

  it("keeps other settings and other weights apart", async () => {
    await place({ folder: kept });
    await place({ folder: kept }, 4);
    writeSource(2);
    await place({ folder: kept });
    assert.equal(filesIn(kept).length, 3);
  });

  it("writes a file again that lost its end", async () => {
    await place({ folder: kept });
    const { name, size } = filesIn(kept)[0]!;
    const bytes = Deno.readFileSync(join(kept, name));
    Deno.truncateSync(join(kept, name), 100);
    await place({ folder: kept });
    assert.equal(filesIn(kept)[0]!.size, size);
    assert.deepEqual(Deno.readFileSync(join(kept, name)), bytes);
  });

  it("leaves nothing of a temporary folder", async () => {
    const store = new WeightStore();
    const { bytes } = await store.place(model());
    const [, name, file] = /(spectrum-weights-\w+)\/([\w.-]+\.weights)/.exec(
      new TextDecoder().decode(bytes),
    )!;
    const path = join(folder, "..", name!);
    assert.ok(Deno.statSync(join(path, file!)).isFile);
    store[Symbol.dispose]();
    assert.throws(() => Deno.statSync(path), Deno.errors.NotFound);
  });

  it("refuses a source that was cut off meanwhile, and leaves nothing behind", async () => {
    const whole = model();
    Deno.truncateSync(source, 1_000_000);
    using store = new WeightStore({ folder: kept });
    await assert.rejects(store.place(whole), (error: Error) => {
      assert.ok(error instanceof CheckpointError);
      assert.match(
        error.message,
        /^Cannot read .*x\.safetensors as it ends at byte 1000000: truncated download\?$/,
      );
      return true;
    });
    assert.deepEqual(filesIn(kept), []);
  });

  it("says in one line that its folder cannot be written", async () => {
    // A file in the folder's place stops even root, unlike permissions.
    Deno.writeTextFileSync(kept, "");
    chmodSync(kept, 0o444);
    await assert.rejects(place({ folder: kept }), (error: Error) => {
      assert.ok(error instanceof CheckpointError);
      assert.match(
        error.message,
        /^Cannot keep converted weights in .*kept: [^\n]+ Try --weights as-stored, or free disk space\.$/,
      );
      return true;
    });
  });
});

describe("openPipeline() with --weights", () => {
  const request = { prompt: "red heart", seed: 3, steps: 4, width: 16, height: 16 };

  async function draw(name: string, options: OpenPipelineOptions): Promise<Float32Array> {
    using pipeline = await openPipeline(goldenPath(name), options);
    assert.equal(pipeline.model.weights, options.weights ?? "as-stored");
    const frames = name.startsWith("wan/") || name.startsWith("hunyuan") ? { numFrames: 5 } : {};
    const complete = completeRequest({ ...request, ...frames }, pipeline.description);
    return (await pipeline.generate(complete)).latents.data.slice();
  }

  function error(actual: Float32Array, expected: Float32Array): number {
    const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));
    return norm(actual.map((value, i) => value - expected[i]!)) / norm(expected);
  }

  for (
    const name of [
      "flux/tiny-dev",
      "sd3/tiny-large",
      "sdxl/tiny-sdxl",
      "hunyuan_video/tiny-distilled",
    ]
  ) {
    it(`draws nearly the same with ${name}, once from the files and once from the store`, async () => {
      const plain = await draw(name, {});
      const int8 = await draw(name, { weights: "int8", weightCache: kept });
      const stored = filesIn(kept);
      assert.ok(stored.length >= 1);
      assert.deepEqual(await draw(name, { weights: "int8", weightCache: kept, offload: true }), int8);
      assert.deepEqual(filesIn(kept), stored);
      const int4 = await draw(name, { weights: "int4" });
      const [error8, error4] = [error(int8, plain), error(int4, plain)];
      assert.ok(error8 > 0 && error8 < 0.02, `int8: ${error8}`);
      assert.ok(error4 > error8 && error4 < 0.3, `int4: ${error4}`);
    });
  }

  it("leaves rows that are shorter than a block as stored", async () => {
    const plain = await draw("wan/tiny-unipc", {});
    assert.deepEqual(await draw("wan/tiny-unipc", { weights: "int8" }), plain);
  });

  it("draws a LoRA beside weights in 8 bits", async () => {
    const loras = [{ path: goldenPath("lora/flux/style.safetensors"), weight: 1 }];
    const plain = await draw("flux/tiny-dev", {});
    const full = await draw("flux/tiny-dev", { loras });
    const int8 = await draw("flux/tiny-dev", { loras, weights: "int8" });
    assert.ok(error(int8, full) < 0.02 && error(full, plain) > 5 * error(int8, full));
  });
});
