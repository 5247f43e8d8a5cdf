// A model's rules come from its configs, without its graphs.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { CheckpointError } from "../../../gpu-worker/checkpoint/checkpoint_error.ts";
import { describeModel } from "../../../gpu-worker/model/describe_model.ts";
import { goldenPath } from "../../goldens/golden.ts";

function withCopy(test: (folder: string) => void): () => void {
  return () => {
    const folder = Deno.makeTempDirSync();
    try {
      cpSync(goldenPath("flux/tiny-schnell"), folder, { recursive: true });
      test(folder);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  };
}

describe("describeModel()", () => {
  it(
    "builds no graph, so weights are not checked against configs",
    withCopy((folder) => {
      const path = join(folder, "transformer/config.json");
      const config = JSON.parse(Deno.readTextFileSync(path));
      Deno.writeTextFileSync(path, JSON.stringify({ ...config, joint_attention_dim: 999 }));
      const { reading } = describeModel(folder);
      assert.equal(reading.rules.guidance, "none");
      assert.throws(() => reading.buildGraphs(), /'context_embedder.weight' must have the shape/);
    }),
  );

  it("gives int8 one scale a row in the denoiser on the CPU, and blocks elsewhere", () => {
    const of = (provider: "cpu" | "cuda" | "webgpu", component: string) => {
      const { checkpoint } = describeModel("models/emoji", { provider, weights: "int8" });
      const matrices = [...checkpoint.weights(component).values()].filter(({ quantization }) => quantization);
      assert.ok(matrices.length > 0);
      return matrices.every(({ quantization }) => quantization!.wholeRows === true);
    };
    assert.equal(of("cpu", "transformer"), true);
    assert.equal(of("cpu", "text_encoder"), false);
    assert.equal(of("cpu", "text_encoder_2"), false);
    for (const provider of ["cuda", "webgpu"] as const) assert.equal(of(provider, "transformer"), false);
  });

  it(
    "refuses a checkpoint without weights, and a scheduler that is not known",
    withCopy((folder) => {
      const scheduler = join(folder, "scheduler/scheduler_config.json");
      const text = Deno.readTextFileSync(scheduler);
      Deno.writeTextFileSync(scheduler, JSON.stringify({ ...JSON.parse(text), surprise: 1 }));
      assert.throws(() => describeModel(folder), /'surprise'/);
      Deno.writeTextFileSync(scheduler, text);
      Deno.removeSync(join(folder, "vae/diffusion_pytorch_model.safetensors"));
      assert.throws(() => describeModel(folder), CheckpointError);
    }),
  );
});
