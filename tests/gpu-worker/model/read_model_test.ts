// Damaged, incomplete or unsupported checkpoints are errors that name the fault.
import { after, before, beforeEach, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { CheckpointError } from "../../../gpu-worker/checkpoint/checkpoint_error.ts";
import { Checkpoint } from "../../../gpu-worker/checkpoint/checkpoint.ts";
import { modelDigest } from "../../../gpu-worker/checkpoint/model_digest.ts";
import { readModel } from "../../../gpu-worker/model/read_model.ts";
import { goldenPath } from "../../goldens/golden.ts";

const TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors";
let root: string;
let folder: string;
let count = 0;

before(() => {
  root = Deno.makeTempDirSync();
});
after(() => Deno.removeSync(root, { recursive: true }));
beforeEach(() => {
  folder = join(root, String(count++));
  cpSync(goldenPath("flux/tiny-schnell"), folder, { recursive: true });
});

function edit(file: string, change: (config: Record<string, unknown>) => void): void {
  const path = join(folder, file);
  const config = JSON.parse(Deno.readTextFileSync(path));
  change(config);
  Deno.writeTextFileSync(path, JSON.stringify(config));
}

function assertRefused(message: RegExp): void {
  assert.throws(() => readModel(folder), (error: Error) => {
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  });
}

describe("readModel()", () => {
  it("reads an unmodified checkpoint", () => {
    assert.equal(readModel(folder).reading.rules.guidance, "none");
  });

  it("refuses a missing weights file, naming its folder", () => {
    Deno.removeSync(join(folder, TRANSFORMER));
    assertRefused(/Cannot load weights from .*transformer as it holds neither/);
  });

  it("refuses a truncated weights file, naming the first tensor that is cut", () => {
    const path = join(folder, TRANSFORMER);
    Deno.truncateSync(path, Deno.statSync(path).size - 100);
    assertRefused(/Cannot use '.+' in .*: truncated download/);
  });

  it("refuses a file that is not safetensors", () => {
    Deno.writeTextFileSync(join(folder, TRANSFORMER), "<html>404 Not Found</html>");
    assertRefused(/truncated, or not safetensors/);
  });

  it("refuses shapes that contradict the config, with both shapes", () => {
    edit("transformer/config.json", (config) => config["joint_attention_dim"] = 999);
    assertRefused(
      /'context_embedder.weight' must have the shape \[\d+,999\] by the config: the checkpoint's is \[\d+,\d+\]/,
    );
  });

  it("refuses a config with fewer blocks than the weights have", () => {
    edit("transformer/config.json", (config) => config["num_single_layers"] = 2);
    assertRefused(/single_transformer_blocks\.2/);
  });

  it("refuses an unknown pipeline class, listing the known ones", () => {
    edit("model_index.json", (index) => index["_class_name"] = "KandinskyPipeline");
    assertRefused(/pipeline class KandinskyPipeline is not supported: known are .*FluxPipeline/);
  });

  it("refuses another component class", () => {
    edit("model_index.json", (index) => index["vae"] = ["diffusers", "AutoencoderTiny"]);
    assertRefused(/'vae' must be AutoencoderKL: model_index.json says AutoencoderTiny/);
  });

  it("refuses unknown options of every component by name", () => {
    for (const file of ["transformer/config.json", "vae/config.json", "scheduler/scheduler_config.json"]) {
      const text = Deno.readTextFileSync(join(folder, file));
      edit(file, (config) => config["surprise"] = 1);
      assertRefused(/'surprise'/);
      Deno.writeTextFileSync(join(folder, file), text);
    }
  });

  it("refuses broken JSON, naming the file", () => {
    Deno.writeTextFileSync(join(folder, "vae/config.json"), "{");
    assertRefused(/vae\/config.json as it is not JSON/);
  });

  it("refuses a spectrum.json with an unknown field", () => {
    Deno.writeTextFileSync(join(folder, "spectrum.json"), JSON.stringify({ step: 20 }));
    assertRefused(/spectrum.json.*'step'/);
  });

  it("takes defaults from spectrum.json", () => {
    Deno.writeTextFileSync(
      join(folder, "spectrum.json"),
      JSON.stringify({ steps: 20, sampler: { method: "reuse" } }),
    );
    const { defaults } = readModel(folder).reading;
    assert.equal(defaults.steps, 20);
    assert.deepEqual(defaults.sampler, { method: "reuse" });
  });

  it("throws CheckpointError, so that callers can tell it from a defect", () => {
    Deno.removeSync(join(folder, "model_index.json"));
    assert.throws(() => readModel(folder), CheckpointError);
  });
});

describe("modelDigest()", () => {
  it("changes with a weight and stays the same otherwise", () => {
    const digestOf = (folder: string) => modelDigest(Checkpoint.open(folder));
    const original = digestOf(goldenPath("flux/tiny-schnell"));
    assert.equal(digestOf(folder), original);
    const path = join(folder, TRANSFORMER);
    const bytes = Deno.readFileSync(path);
    bytes[bytes.length - 1]! ^= 1;
    Deno.writeFileSync(path, bytes);
    assert.notEqual(digestOf(folder), original);
  });
});
