import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parseZImageTransformerConfig } from "../../../../gpu-worker/families/z_image/z_image_config.ts";
import { zImageRotaryTables } from "../../../../gpu-worker/families/z_image/z_image_feeds.ts";
import { zImageTransformerGraphs } from "../../../../gpu-worker/families/z_image/z_image_transformer.ts";
import { type Goldens, loadGoldens } from "../../../goldens/golden.ts";
import { component } from "../../graph/component.ts";
import { type FloatArrays, goldenArray } from "../../graph/float_array.ts";
import { refusalCases, type RefusedOption } from "../../graph/refusal.ts";
import { transformerCases } from "../../graph/transformer_cases.ts";

for (
  const [name, calls] of [["tiny-base", ["start", "batch", "whole"]], ["tiny-turbo", undefined]] as const
) {
  describe(`zImageTransformerGraphs() of ${name}`, () => {
    const goldens = loadGoldens(`z_image/${name}`);
    const parts = component(`z_image/${name}/transformer`);
    transformerCases({
      build: (dtype) => zImageTransformerGraphs({ ...parts, dtype }),
      goldens,
      inputsOf: (call) => trunkInputs(goldens, call, parts.config),
      ...calls && { calls },
      further: { branches: { shape: [2], data: new Float32Array(2) } },
    });
  });
}

describe("zImageTransformerGraphs()", () => {
  const { config, weights } = component("z_image/tiny-base/transformer");

  it("builds in every compute type", () => {
    for (const dtype of ["float32", "float16", "bfloat16"] as const) {
      assert.doesNotThrow(() => zImageTransformerGraphs({ config, weights, dtype }));
    }
  });

  const REFUSED: RefusedOption[] = [
    ["siglip_feat_dim", 1152, /'siglip_feat_dim'.*1152/],
    ["all_patch_size", [2, 4], /'all_patch_size'/],
    ["all_f_patch_size", [2], /'all_f_patch_size/],
    ["in_features", 3, /no option 'in_features'/],
    ["dim", 25, /'dim' must be a multiple of 'n_heads' \(2\), but is 25/],
    ["axes_dims", [4, 4, 2], /'axes_dims' must add up to 'dim' \/ 'n_heads' \(12\), but is \[4,4,2\]/],
    ["axes_dims", [3, 5, 4], /'axes_dims/],
    ["n_layers", 4, /'layers\.3\./],
    ["n_refiner_layers", 1, /leaves no place for: '(noise|context)_refiner\.1\./],
    ["qk_norm", false, /norm_[qk]/],
    ["cap_feat_dim", 18, /'cap_embedder\.0\.weight'/],
  ];
  refusalCases(
    REFUSED,
    (changes) => zImageTransformerGraphs({ config: { ...config, ...changes }, weights, dtype: "float32" }),
  );
});

function trunkInputs(goldens: Goldens, call: string, config: Record<string, unknown>): FloatArrays {
  const names = ["hidden_states", "encoder_hidden_states", "timestep"];
  const inputs = Object.fromEntries(
    names.map((name) => [name, goldenArray(goldens, `transformer.${call}.${name}`)]),
  );
  const [, , height, width] = inputs["hidden_states"]!.shape as [number, number, number, number];
  const parsed = parseZImageTransformerConfig(config);
  const textTokens = inputs["encoder_hidden_states"]!.shape[1]!;
  const { cos, sin } = zImageRotaryTables(parsed, { textTokens, rows: height / 2, columns: width / 2 });
  const pairs = parsed.headDim / 2;
  const shape = [cos.length / pairs, pairs];
  return { ...inputs, rotary_cos: { shape, data: cos }, rotary_sin: { shape, data: sin } };
}
