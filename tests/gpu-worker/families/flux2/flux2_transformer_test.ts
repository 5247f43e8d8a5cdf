import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parseFlux2TransformerConfig } from "../../../../gpu-worker/families/flux2/flux2_config.ts";
import { flux2RotaryTables } from "../../../../gpu-worker/families/flux2/flux2_feeds.ts";
import { flux2TransformerGraphs } from "../../../../gpu-worker/families/flux2/flux2_transformer.ts";
import { goldenPath, type Goldens, loadGoldens } from "../../../goldens/golden.ts";
import { component } from "../../graph/component.ts";
import { type FloatArrays, goldenArray } from "../../graph/float_array.ts";
import { refusalCases, type RefusedOption } from "../../graph/refusal.ts";
import { transformerCases } from "../../graph/transformer_cases.ts";

for (const name of ["tiny-base", "tiny-distilled"]) {
  describe(`flux2TransformerGraphs() of ${name}`, () => {
    const goldens = loadGoldens(`flux2/${name}`);
    const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath(`flux2/${name}/goldens.json`)));
    const parts = component(`flux2/${name}/transformer`);
    transformerCases({
      build: (dtype) => flux2TransformerGraphs({ ...parts, dtype }),
      goldens,
      inputsOf: (call) =>
        trunkInputs(goldens, call, { ...cases[`transformer.${call}`], config: parts.config }),
      further: { branches: { shape: [2], data: new Float32Array(2) } },
    });
  });
}

describe("flux2TransformerGraphs()", () => {
  const { config, weights } = component("flux2/tiny-base/transformer");

  it("builds in every compute type", () => {
    for (const dtype of ["float32", "float16", "bfloat16"] as const) {
      assert.doesNotThrow(() => flux2TransformerGraphs({ config, weights, dtype }));
    }
  });

  const REFUSED: RefusedOption[] = [
    ["guidance_embeds", true, /'guidance_embeds' must be false for Flux2KleinPipeline, but is true/],
    ["pooled_projection_dim", 768, /no option 'pooled_projection_dim'/],
    ["axes_dims_rope", [4, 4, 4], /'axes_dims_rope/],
    ["axes_dims_rope", [2, 2, 4, 2], /'axes_dims_rope' must be a sum .*\(12\), but is \[2,2,4,2\]/],
    ["patch_size", 2, /'out_channels' must be 'in_channels' \(16\).*but is 64/],
    ["joint_attention_dim", 24, /'context_embedder.weight'.*\[24,24\].*\[24,36\]/],
    ["mlp_ratio", 4, /ff\.linear_in\.weight|ff_context\.linear_in\.weight/],
    ["num_layers", 3, /'transformer_blocks\.2\./],
    ["num_single_layers", 1, /'single_transformer_blocks\.1\./],
  ];
  refusalCases(
    REFUSED,
    (changes) => flux2TransformerGraphs({ config: { ...config, ...changes }, weights, dtype: "float32" }),
  );
});

interface Call {
  height: number;
  width: number;
  text_tokens: number;
  config: Record<string, unknown>;
}

function trunkInputs(
  goldens: Goldens,
  call: string,
  { height, width, text_tokens: textTokens, config }: Call,
): FloatArrays {
  const names = ["hidden_states", "encoder_hidden_states", "timestep"];
  const inputs = Object.fromEntries(
    names.map((name) => [name, goldenArray(goldens, `transformer.${call}.${name}`)]),
  );
  const parsed = parseFlux2TransformerConfig(config);
  const { cos, sin } = flux2RotaryTables(parsed, { textTokens, picture: { height, width } });
  const tokens = height * width;
  const shape = [textTokens + tokens, parsed.attentionHeadDim / 2];
  return {
    ...inputs,
    picture_tokens: { shape: [tokens], data: new Float32Array(tokens) },
    rotary_cos: { shape, data: cos },
    rotary_sin: { shape, data: sin },
  };
}
