import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { firstVector } from "../../../../gpu-worker/families/chroma/chroma_approximator.ts";
import { parseChromaTransformerConfig } from "../../../../gpu-worker/families/chroma/chroma_config.ts";
import { chromaTransformerGraphs } from "../../../../gpu-worker/families/chroma/chroma_transformer.ts";
import { fluxRotaryTables } from "../../../../gpu-worker/graph/layers/attention/flux_rotary.ts";
import { loadGoldens } from "../../../goldens/golden.ts";
import { component } from "../../graph/component.ts";
import { assertRefused, refusalCases, type RefusedOption } from "../../graph/refusal.ts";
import { transformerCases } from "../../graph/transformer_cases.ts";
import { rotaryTrunkInputs } from "../rotary_trunk_inputs.ts";

/** As many branches as the inputs of "batch". */
const BRANCHES = { shape: [2], data: new Float32Array(2) };
/** transformer/config.json of Chroma1-HD. */
const PUBLISHED = {
  _class_name: "ChromaTransformer2DModel",
  _diffusers_version: "0.34.0.dev0",
  approximator_hidden_dim: 5120,
  approximator_layers: 5,
  approximator_num_channels: 64,
  attention_head_dim: 128,
  axes_dims_rope: [16, 56, 56],
  in_channels: 64,
  joint_attention_dim: 4096,
  num_attention_heads: 24,
  num_layers: 19,
  num_single_layers: 38,
  out_channels: null,
  patch_size: 1,
};

for (const name of ["tiny-hd", "tiny-shift"]) {
  describe(`chromaTransformerGraphs() of ${name}`, () => {
    const goldens = loadGoldens(`chroma/${name}`);
    const parts = component(`chroma/${name}/transformer`);
    transformerCases({
      build: (dtype) => chromaTransformerGraphs({ ...parts, dtype }),
      goldens,
      inputsOf: (call) =>
        rotaryTrunkInputs(call, {
          goldens,
          folder: `chroma/${name}`,
          config: parts.config,
          further: ["text_mask"],
          tables: (sizes) => ({ rotary: fluxRotaryTables(sizes) }),
        }),
      further: { branches: BRANCHES },
    });
  });
}

describe("chromaTransformerGraphs()", () => {
  const { config, weights } = component("chroma/tiny-hd/transformer");

  it("takes the published model's options, which are the class's defaults", () => {
    const published = parseChromaTransformerConfig(PUBLISHED);
    assert.equal(published.innerDim, 3072);
    assert.deepEqual(parseChromaTransformerConfig({}), published);
  });

  it("takes the vectors of single blocks first, then of images, of texts, of the last norm", () => {
    const published = parseChromaTransformerConfig(PUBLISHED);
    const places = [
      "single_transformer_blocks.37.norm",
      "transformer_blocks.18.norm1",
      "transformer_blocks.18.norm1_context",
    ]
      .map((norm) => firstVector(`${norm}.linear`, published));
    assert.deepEqual(places, [111, 222, 336]);
  });

  it("builds in every compute type", () => {
    for (const dtype of ["float32", "float16", "bfloat16"] as const) {
      assert.doesNotThrow(() => chromaTransformerGraphs({ config, weights, dtype }));
    }
  });

  const REFUSED: RefusedOption[] = [
    ["guidance_embeds", true, /'guidance_embeds'/],
    ["num_layers", -1, /'num_layers'.*-1/],
    ["axes_dims_rope", [2, 3, 5], /'axes_dims_rope/],
    ["axes_dims_rope", [4, 4, 4], /'axes_dims_rope' must add up to 'attention_head_dim'/],
    ["approximator_num_channels", 12, /'approximator_num_channels'.*12/],
    // Options that contradict the tensors' shapes.
    ["out_channels", 8, /'proj_out.weight'.*\[8,20\].*\[64,20\]/],
    ["approximator_hidden_dim", 25, /'distilled_guidance_layer.in_proj.weight'.*\[25,16\].*\[24,16\]/],
    ["approximator_num_channels", 8, /'distilled_guidance_layer.in_proj.weight'.*\[24,8\]/],
    // Options with missing or unused tensors.
    ["num_layers", 3, /'transformer_blocks\.2\./],
    ["num_single_layers", 1, /'single_transformer_blocks\.1\./],
    ["approximator_layers", 1, /'distilled_guidance_layer\.(layers|norms)\.1\./],
  ];
  refusalCases(
    REFUSED,
    (changes) => chromaTransformerGraphs({ config: { ...config, ...changes }, weights, dtype: "float32" }),
  );

  it("refuses FLUX's modulations, which the approximator replaces", () => {
    const name = "transformer_blocks.0.norm1.linear.weight";
    const more = new Map([...weights, [name, weights.get("proj_out.weight")!]]);
    assertRefused(
      () => chromaTransformerGraphs({ config, weights: more, dtype: "float32" }),
      /norm1\.linear\.weight/,
    );
  });
});
