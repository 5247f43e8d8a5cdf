import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { wanRotaryTables } from "../../../../gpu-worker/families/wan/wan_rotary.ts";
import { parseWanTransformerConfig } from "../../../../gpu-worker/families/wan/wan_config.ts";
import { wanTransformerGraphs } from "../../../../gpu-worker/families/wan/wan_transformer.ts";
import type { DType } from "../../../../gpu-worker/runtime/mod.ts";
import { type Goldens, loadGoldens } from "../../../goldens/golden.ts";
import { component } from "../../graph/component.ts";
import { type FloatArrays, goldenArray, run } from "../../graph/float_array.ts";
import { assertRefused, refusalCases, type RefusedOption } from "../../graph/refusal.ts";
import { transformerCases } from "../../graph/transformer_cases.ts";

/** As many branches as the inputs of "batch". */
const BRANCHES = { shape: [2], data: new Float32Array(2) };

for (const name of ["tiny-unipc", "tiny-euler", "tiny-ti2v"]) {
  describe(`wanTransformerGraphs() of ${name}`, () => {
    const goldens = loadGoldens(`wan/${name}`);
    const parts = component(`wan/${name}/transformer`);
    const build = (dtype: DType) => wanTransformerGraphs({ ...parts, dtype });
    const { trunk } = build("float32");
    const inputsOf = (call: string) => trunkInputs(goldens, call, parts.config);
    transformerCases({ build, goldens, inputsOf, further: { branches: BRANCHES } });

    it("trunk gives its feature frames, rows and columns of patches", async () => {
      const { feature } = await run(trunk, inputsOf("batch"));
      const [, , frames, height, width] = goldens.shape("transformer.batch.hidden_states");
      const { patchHeight, patchWidth, innerDim } = parseWanTransformerConfig(parts.config);
      assert.deepEqual(feature!.shape, [2, frames, height! / patchHeight, width! / patchWidth, innerDim]);
    });
  });
}

describe("wanTransformerGraphs()", () => {
  const { config, weights } = component("wan/tiny-unipc/transformer");

  it("takes the options of both published models", () => {
    const common = {
      _class_name: "WanTransformer3DModel",
      _diffusers_version: "0.33.0.dev0",
      added_kv_proj_dim: null,
      attention_head_dim: 128,
      cross_attn_norm: true,
      eps: 1e-6,
      freq_dim: 256,
      image_dim: null,
      in_channels: 16,
      out_channels: 16,
      patch_size: [1, 2, 2],
      qk_norm: "rms_norm_across_heads",
      rope_max_seq_len: 1024,
      text_dim: 4096,
    };
    const small = parseWanTransformerConfig({
      ...common,
      ffn_dim: 8960,
      num_attention_heads: 12,
      num_layers: 30,
    });
    const large = parseWanTransformerConfig({
      ...common,
      ffn_dim: 13824,
      num_attention_heads: 40,
      num_layers: 40,
    });
    assert.deepEqual([small.innerDim, large.innerDim], [1536, 5120]);
    // The class's defaults are those of the larger model.
    assert.deepEqual(parseWanTransformerConfig({}), large);
  });

  it("builds in every compute type", () => {
    for (const dtype of ["float32", "float16", "bfloat16"] as const) {
      assert.doesNotThrow(() => wanTransformerGraphs({ config, weights, dtype }));
    }
  });

  const REFUSED: RefusedOption[] = [
    ["image_dim", 1280, /'added_kv_proj_dim' must be set exactly if 'image_dim' is, but is null/],
    ["added_kv_proj_dim", 24, /'added_kv_proj_dim' must be set exactly if 'image_dim' is, but is 24/],
    ["pos_embed_seq_len", 514, /'pos_embed_seq_len' must be null without 'image_dim', but is 514/],
    ["patch_size", [2, 2, 2], /'patch_size.0'.*2/],
    ["patch_size", [1, 2], /'patch_size'/],
    ["qk_norm", "layer_norm", /'qk_norm'.*"layer_norm"/],
    ["attention_head_dim", 4, /'attention_head_dim' must have room.* 4$/],
    ["num_layers", 0, /'num_layers'.*0/],
    ["guidance_embeds", true, /'guidance_embeds'/],
    // Options that contradict the tensors' shapes.
    ["out_channels", 8, /'proj_out.weight'.*\[32,24\].*\[64,24\]/],
    ["patch_size", [1, 1, 2], /'patch_embedding.weight'.*\[24,16,1,1,2\]/],
    ["ffn_dim", 41, /'blocks\.0\.ffn\.net\.0\.proj\.weight'/],
    // Options with missing or unused tensors.
    ["num_layers", 3, /'blocks\.2\./],
    ["cross_attn_norm", false, /'blocks\.\d\.norm2\.\w+'/],
  ];
  refusalCases(
    REFUSED,
    (changes) => wanTransformerGraphs({ config: { ...config, ...changes }, weights, dtype: "float32" }),
  );

  it("refuses a checkpoint with tensors that the config leaves no place for", () => {
    const lora = "blocks.0.attn1.to_q.lora_A.weight";
    const more = new Map([...weights, [lora, weights.get("proj_out.weight")!]]);
    assertRefused(() => wanTransformerGraphs({ config, weights: more, dtype: "float32" }), /to_q\.lora_A/);
  });
});

describe("wanRotaryTables()", () => {
  it("turns pairs by time, then row, then column, and leaves the first token as it is", () => {
    const { cos, sin } = wanRotaryTables({ frames: 2, rows: 3, columns: 2, headDim: 12 });
    assert.deepEqual([...cos.subarray(0, 6)], Array(6).fill(1));
    assert.deepEqual([...sin.subarray(0, 6)], Array(6).fill(0));
    // Frame 1, row 2, column 1 of 12 tokens: axes of 4, 4 and 4 channels.
    const angles = [1, 1 / 100, 2, 2 / 100, 1, 1 / 100];
    assert.deepEqual([...cos.subarray(66, 72)], angles.map((angle) => Math.fround(Math.cos(angle))));
    assert.deepEqual([...sin.subarray(66, 72)], angles.map((angle) => Math.fround(Math.sin(angle))));
  });
});

function trunkInputs(goldens: Goldens, call: string, json: unknown): FloatArrays {
  const names = ["hidden_states", "encoder_hidden_states", "timestep"];
  const inputs = Object.fromEntries(
    names.map((name) => [name, goldenArray(goldens, `transformer.${call}.${name}`)]),
  );
  const [, , frames, height, width] = inputs["hidden_states"]!.shape as [
    number,
    number,
    number,
    number,
    number,
  ];
  const { patchHeight, patchWidth, attentionHeadDim: headDim } = parseWanTransformerConfig(json);
  const [rows, columns] = [height / patchHeight, width / patchWidth];
  const { cos, sin } = wanRotaryTables({ frames, rows, columns, headDim });
  const shape = [frames * rows * columns, headDim / 2];
  return { ...inputs, rotary_cos: { shape, data: cos }, rotary_sin: { shape, data: sin } };
}
