// The tiny FLUX of tests/goldens/gguf, run once with weights of any file.
import { readRows } from "../../../../gpu-worker/checkpoint/blocks/read_rows.ts";
import { readTensors } from "../../../../gpu-worker/checkpoint/read_tensors.ts";
import type { Weights } from "../../../../gpu-worker/checkpoint/weights.ts";
import { fluxTransformerGraphs } from "../../../../gpu-worker/families/flux/flux_transformer.ts";
import { fluxRotaryTables } from "../../../../gpu-worker/graph/layers/attention/flux_rotary.ts";
import { WeightStore } from "../../../../gpu-worker/session/weight_store.ts";
import { goldenPath } from "../../../goldens/golden.ts";
import { type GraphInput, runGraph } from "../../graph/run_graph.ts";

const INPUTS = "gguf/flux.safetensors";
const CONFIG = JSON.parse(Deno.readTextFileSync(goldenPath("gguf/flux_config.json")));

/** Returns a tensor of a file of goldens. */
export function goldenTensor(from: string, name: string): GraphInput & { data: Float32Array<ArrayBuffer> } {
  const entry = readTensors(goldenPath(from)).get(name)!;
  using file = Deno.openSync(entry.path);
  return { shape: entry.shape, data: readRows(file, entry, { from: 0, to: entry.shape[0]! }) };
}

/** Returns the output of tests/goldens/gguf's tiny FLUX with `weights`. */
export async function runTinyFlux(weights: Weights): Promise<Float32Array> {
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
    hidden_states: goldenTensor(INPUTS, "hidden_states"),
    encoder_hidden_states: goldenTensor(INPUTS, "encoder_hidden_states"),
    pooled_projections: goldenTensor(INPUTS, "pooled_projections"),
    timestep: one(0.7),
    guidance: one(3.5),
    rotary_cos: { ...rotary, data: cos },
    rotary_sin: { ...rotary, data: sin },
  });
  return output!.data;
}

/** Returns the norm of the difference, relative to that of `expected`. */
export function relativeError(actual: Float32Array, expected: Float32Array): number {
  const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));
  return norm(actual.map((value, i) => value - expected[i]!)) / norm(expected);
}
