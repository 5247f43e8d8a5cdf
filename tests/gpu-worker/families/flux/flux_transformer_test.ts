import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { fluxRotaryTables } from "../../../../gpu-worker/graph/layers/attention/flux_rotary.ts";
import { fluxTransformerGraphs } from "../../../../gpu-worker/families/flux/flux_transformer.ts";
import type { Weights } from "../../../../gpu-worker/checkpoint/weights.ts";
import { type Goldens, loadGoldens } from "../../../goldens/golden.ts";
import { component } from "../../graph/component.ts";
import { type FloatArrays, goldenArray } from "../../graph/float_array.ts";
import { assertRefused, refusalCases, type RefusedOption } from "../../graph/refusal.ts";
import { transformerCases } from "../../graph/transformer_cases.ts";

for (const name of ["tiny-dev", "tiny-schnell"]) {
  describe(`fluxTransformerGraphs() of ${name}`, () => {
    const goldens = loadGoldens(`flux/${name}`);
    const parts = component(`flux/${name}/transformer`);
    transformerCases({
      build: (dtype) => fluxTransformerGraphs({ ...parts, dtype }),
      goldens,
      inputsOf: (call) => trunkInputs(goldens, call, parts.config),
    });
  });
}

describe("fluxTransformerGraphs()", () => {
  const { config, weights } = component("flux/tiny-dev/transformer");

  it("builds in every compute type", () => {
    for (const dtype of ["float32", "float16", "bfloat16"] as const) {
      assert.doesNotThrow(() => fluxTransformerGraphs({ config, weights, dtype }));
    }
  });

  const REFUSED: RefusedOption[] = [
    ["qk_norm", "rms_norm", /'qk_norm'/],
    // Options that FluxTransformer2DModel could not use.
    ["num_layers", -1, /'num_layers'.*-1/],
    ["guidance_embeds", "yes", /'guidance_embeds'.*"yes"/],
    ["axes_dims_rope", [2, 3, 5], /'axes_dims_rope/],
    ["axes_dims_rope", [4, 4, 4], /'axes_dims_rope' must add up to 'attention_head_dim'/],
    // Options that contradict the tensors' shapes.
    ["out_channels", 8, /'proj_out.weight'.*\[8,20\].*\[64,20\]/],
    ["patch_size", 2, /'proj_out.weight'.*\[256,20\]/],
    ["joint_attention_dim", 21, /'context_embedder.weight'.*\[20,21\].*\[20,20\]/],
    // Options with missing or unused tensors.
    ["num_layers", 3, /'transformer_blocks\.2\./],
    ["num_single_layers", 1, /'single_transformer_blocks\.1\./],
    ["guidance_embeds", false, /guidance_embedder/],
  ];
  refusalCases(
    REFUSED,
    (changes) => fluxTransformerGraphs({ config: { ...config, ...changes }, weights, dtype: "float32" }),
  );

  it("refuses a checkpoint that lacks a tensor, or has one too many", () => {
    const build = (weights: Weights) => () => fluxTransformerGraphs({ config, weights, dtype: "float32" });
    const name = "single_transformer_blocks.1.attn.norm_k.weight";
    assertRefused(build(new Map([...weights].filter(([key]) => key !== name))), new RegExp(`'${name}'`));
    const lora = "transformer_blocks.0.attn.to_q.lora_A.weight";
    assertRefused(build(new Map([...weights, [lora, weights.get("proj_out.weight")!]])), /to_q\.lora_A/);
  });
});

function trunkInputs(goldens: Goldens, call: string, config: Record<string, unknown>): FloatArrays {
  const golden = (name: string) => goldenArray(goldens, `transformer.${call}.${name}`);
  const names = ["hidden_states", "encoder_hidden_states", "pooled_projections", "timestep", "guidance"];
  const inputs: FloatArrays = Object.fromEntries(
    names.filter((name) => goldens.has(`transformer.${call}.${name}`)).map((name) => [name, golden(name)]),
  );
  // The last image token's ids are [0, height - 1, width - 1].
  const [, lastRow, lastColumn] = golden("img_ids").data.slice(-3);
  const textTokens = inputs["encoder_hidden_states"]!.shape[1]!;
  const { cos, sin } = fluxRotaryTables({
    textTokens,
    height: lastRow! + 1,
    width: lastColumn! + 1,
    axesDims: config["axes_dims_rope"] as number[],
  });
  const tokens = textTokens + inputs["hidden_states"]!.shape[1]!;
  const shape = [tokens, cos.length / tokens];
  return { ...inputs, rotary_cos: { shape, data: cos }, rotary_sin: { shape, data: sin } };
}
