import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parseQwenImageConfig } from "../../../../gpu-worker/families/qwen_image/qwen_image_config.ts";
import { qwenImageRotaryTables } from "../../../../gpu-worker/families/qwen_image/qwen_image_rotary.ts";
import { qwenImageTransformerGraphs } from "../../../../gpu-worker/families/qwen_image/qwen_image_transformer.ts";
import { loadGoldens } from "../../../goldens/golden.ts";
import { component } from "../../graph/component.ts";
import { assertRefused, refusalCases, type RefusedOption } from "../../graph/refusal.ts";
import { transformerCases } from "../../graph/transformer_cases.ts";
import { rotaryTrunkInputs } from "../rotary_trunk_inputs.ts";

/** As many branches as the inputs of "batch". */
const BRANCHES = { shape: [2], data: new Float32Array(2) };
/** transformer/config.json of Qwen-Image. */
const PUBLISHED = {
  _class_name: "QwenImageTransformer2DModel",
  _diffusers_version: "0.34.0.dev0",
  attention_head_dim: 128,
  axes_dims_rope: [16, 56, 56],
  guidance_embeds: false,
  in_channels: 64,
  joint_attention_dim: 3584,
  num_attention_heads: 24,
  num_layers: 60,
  out_channels: 16,
  patch_size: 2,
  pooled_projection_dim: 768,
};

for (const name of ["tiny-image", "tiny-static"]) {
  describe(`qwenImageTransformerGraphs() of ${name}`, () => {
    const goldens = loadGoldens(`qwen_image/${name}`);
    const parts = component(`qwen_image/${name}/transformer`);
    transformerCases({
      build: (dtype) => qwenImageTransformerGraphs({ ...parts, dtype }),
      goldens,
      inputsOf: (call) =>
        rotaryTrunkInputs(call, {
          goldens,
          folder: `qwen_image/${name}`,
          config: parts.config,
          tables: (sizes) => ({ rotary: qwenImageRotaryTables(sizes) }),
        }),
      further: { branches: BRANCHES },
    });
  });
}

describe("qwenImageTransformerGraphs()", () => {
  const { config, weights } = component("qwen_image/tiny-image/transformer");

  it("takes the published model's options, which are the class's defaults", () => {
    const published = parseQwenImageConfig(PUBLISHED);
    assert.deepEqual([published.innerDim, published.outChannels], [3072, 64]);
    assert.deepEqual(parseQwenImageConfig({}), published);
  });

  it("builds in every compute type", () => {
    for (const dtype of ["float32", "float16", "bfloat16"] as const) {
      assert.doesNotThrow(() => qwenImageTransformerGraphs({ config, weights, dtype }));
      const edit = { config: { ...config, zero_cond_t: true }, weights, dtype, references: true };
      assert.doesNotThrow(() => qwenImageTransformerGraphs(edit));
    }
  });

  const REFUSED: RefusedOption[] = [
    ["guidance_embeds", true, /'guidance_embeds'.*no layers.*true/],
    ["use_additional_t_cond", true, /'use_additional_t_cond'.*layers.*true/],
    ["use_layer3d_rope", true, /'use_layer3d_rope'.*layers.*true/],
    ["num_layers", 0, /'num_layers'.*0/],
    ["axes_dims_rope", [2, 3, 5], /'axes_dims_rope/],
    ["axes_dims_rope", [4, 4, 4], /'axes_dims_rope' must add up to 'attention_head_dim'/],
    ["out_channels", 8, /'out_channels' must give a patch as many channels as 'in_channels' \(64\).* 32$/],
    // Options that contradict the tensors' shapes.
    ["joint_attention_dim", 25, /'txt_norm.weight'.*\[25\].*\[24\]/],
    // Options with missing or unused tensors.
    ["num_layers", 3, /'transformer_blocks\.2\./],
    ["num_layers", 1, /'transformer_blocks\.1\./],
  ];
  refusalCases(
    REFUSED,
    (changes) => qwenImageTransformerGraphs({ config: { ...config, ...changes }, weights, dtype: "float32" }),
  );

  it("refuses a checkpoint with tensors that the config leaves no place for", () => {
    const name = "time_text_embed.addition_t_embedding.weight";
    const more = new Map([...weights, [name, weights.get("proj_out.weight")!]]);
    assertRefused(
      () => qwenImageTransformerGraphs({ config, weights: more, dtype: "float32" }),
      /addition_t_embedding/,
    );
  });
});

describe("qwenImageRotaryTables()", () => {
  it("counts rows and columns from the middle, and texts from where the longer side ends", () => {
    const { cos, sin } = qwenImageRotaryTables({ textTokens: 2, height: 3, width: 6, axesDims: [2, 2, 2] });
    const angles = (token: number) =>
      [0, 1, 2].map((i) => Math.round(Math.atan2(sin[3 * token + i]!, cos[3 * token + i]!) * 1e4) / 1e4);
    assert.deepEqual(angles(0), [3, 3, 3]);
    assert.deepEqual(angles(1).map(Math.cos).map((x) => x.toFixed(3)), Array(3).fill(Math.cos(4).toFixed(3)));
    assert.deepEqual(angles(2), [0, -2, -3]);
    // The last image token: row 2 of 3, column 5 of 6.
    assert.deepEqual(angles(19), [0, 0, 2]);
  });
});
