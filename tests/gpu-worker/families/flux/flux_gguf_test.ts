// A tiny FLUX in GGUF, in original names, against diffusers' GGUF loader
// (tests/goldens/gguf/make_goldens.py).
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { quantizationOf } from "../../../../gpu-worker/checkpoint/blocks/quantization_of.ts";
import { readRows } from "../../../../gpu-worker/checkpoint/blocks/read_rows.ts";
import { readTensors } from "../../../../gpu-worker/checkpoint/read_tensors.ts";
import { recogniseFile } from "../../../../gpu-worker/checkpoint/single_file/recognise_file.ts";
import type { Weights } from "../../../../gpu-worker/checkpoint/weights.ts";
import { fluxTransformerGraphs } from "../../../../gpu-worker/families/flux/flux_transformer.ts";
import { fluxRotaryTables } from "../../../../gpu-worker/graph/layers/attention/flux_rotary.ts";
import { ARCHITECTURES } from "../../../../gpu-worker/model/architectures.ts";
import { WeightStore } from "../../../../gpu-worker/session/weight_store.ts";
import { goldenPath } from "../../../goldens/golden.ts";
import { runGraph } from "../../graph/run_graph.ts";

const GOLDENS = readTensors(goldenPath("gguf/flux.safetensors"));
const CONFIG = JSON.parse(Deno.readTextFileSync(goldenPath("gguf/flux_config.json")));

function golden(name: string): { shape: readonly number[]; data: Float32Array<ArrayBuffer> } {
  const entry = GOLDENS.get(name)!;
  using file = Deno.openSync(entry.path);
  return { shape: entry.shape, data: readRows(file, entry, { from: 0, to: entry.shape[0]! }) };
}

async function run(weights: Weights): Promise<Float32Array> {
  const { trunk } = fluxTransformerGraphs({ config: CONFIG, weights, dtype: "float32" });
  const { cos, sin } = fluxRotaryTables({
    textTokens: 4,
    height: 4,
    width: 4,
    axesDims: CONFIG.axes_dims_rope,
  });
  using store = new WeightStore();
  const one = (value: number) => ({ shape: [1], data: Float32Array.of(value) });
  const rotary = { shape: [20, CONFIG.attention_head_dim / 2] };
  const { output } = await runGraph(await store.place(trunk), {
    hidden_states: golden("hidden_states"),
    encoder_hidden_states: golden("encoder_hidden_states"),
    pooled_projections: golden("pooled_projections"),
    timestep: one(0.7),
    guidance: one(3.5),
    rotary_cos: { ...rotary, data: cos },
    rotary_sin: { ...rotary, data: sin },
  });
  return output!.data;
}

function relativeError(actual: Float32Array, expected: Float32Array): number {
  const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));
  return norm(actual.map((value, i) => value - expected[i]!)) / norm(expected);
}

describe("a FLUX in GGUF", () => {
  for (const type of ["Q8_0", "Q4_1"]) {
    it(`computes diffusers' output from ${type}`, async () => {
      const { architecture, networks } = recogniseFile(
        goldenPath(`gguf/flux-${type.toLowerCase()}.gguf`),
        ARCHITECTURES,
      );
      assert.equal(architecture.pipelineClass, "FluxPipeline");
      const weights = networks.get("transformer")!;
      const { data } = golden(`exact ${type}`);
      const plain = await run(weights);
      assert.ok(relativeError(plain, data) < 1e-5);
      // diffusers' loader decodes to float16.
      assert.ok(relativeError(plain, golden(`diffusers ${type}`).data) < 3e-3);
      // In blocks, activations are rounded too.
      const held = new Map([...weights].map(([name, entry]) => {
        const quantization = quantizationOf(entry, "int8");
        return [name, { ...entry, ...quantization && { quantization } }];
      }));
      const error = relativeError(await run(held), data);
      assert.ok(error > 1e-4 && error < 0.03, `${error}`);
    });
  }
});
