import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parseQwenImage21Config } from "../../../../gpu-worker/families/qwen_image21/qwen_image21_config.ts";
import {
  type QwenImage21Layout,
  qwenImage21Layout,
} from "../../../../gpu-worker/families/qwen_image21/qwen_image21_layout.ts";
import { qwenImage21TransformerGraphs } from "../../../../gpu-worker/families/qwen_image21/qwen_image21_transformer.ts";
import { goldenPath, type Goldens, loadGoldens } from "../../../goldens/golden.ts";
import { component } from "../../graph/component.ts";
import { type FloatArrays, goldenArray } from "../../graph/float_array.ts";
import { assertRefused, refusalCases, type RefusedOption } from "../../graph/refusal.ts";
import { transformerCases } from "../../graph/transformer_cases.ts";
import { rotaryTrunkInputs } from "../rotary_trunk_inputs.ts";

/** As many branches as the inputs of "batch". */
const BRANCHES = { shape: [2], data: new Float32Array(2) };

for (const name of ["tiny-21", "tiny-plain"]) {
  describe(`qwenImage21TransformerGraphs() of ${name}`, () => {
    const goldens = loadGoldens(`qwen_image21/${name}`);
    const parts = component(`qwen_image21/${name}/transformer`);
    transformerCases({
      build: (dtype) => qwenImage21TransformerGraphs({ ...parts, dtype }),
      goldens,
      inputsOf: (call) =>
        rotaryTrunkInputs(call, {
          goldens,
          folder: `qwen_image21/${name}`,
          config: parts.config,
          tables: (sizes) => {
            const { condition, image } = qwenImage21Layout(sizes);
            return { rotary_condition: condition, rotary_image: image };
          },
        }),
      further: { branches: BRANCHES },
    });
  });
}

describe("qwenImage21TransformerGraphs() of tiny-21 with references", () => {
  const folder = "qwen_image21/references";
  const goldens = loadGoldens(folder);
  const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath(`${folder}/goldens.json`)));
  const { config, weights } = component("qwen_image21/tiny-21/transformer");
  transformerCases({
    build: (dtype) => qwenImage21TransformerGraphs({ config, weights, dtype, references: true }),
    goldens,
    inputsOf: (call) => lookingInputs(call, { goldens, ...cases[`transformer.${call}`] }),
    further: { branches: BRANCHES },
  });
});

interface LookingCall {
  goldens: Goldens;
  /** Rows and columns of tokens. */
  image: [number, number];
  references: [number, number][];
  /** Tokens of the text around the references. */
  texts: number[];
}

/** The trunk's inputs of a recorded call with references. */
function lookingInputs(call: string, { goldens, image, references, texts }: LookingCall): FloatArrays {
  const layout = qwenImage21Layout({
    textTokens: texts.reduce((sum, count) => sum + count, 0),
    references: references.map(([height, width]) => ({ height, width })),
    referencePlaces: references.map((_, i) => texts.slice(0, i + 1).reduce((sum, count) => sum + count, 0)),
    height: image[0],
    width: image[1],
    axesDims: [2, 4, 4],
  });
  const table = (data: Float32Array<ArrayBuffer>) => ({ shape: [data.length / 5, 5], data });
  const row = (data: Float32Array<ArrayBuffer>) => ({ shape: [data.length], data });
  const given = ["hidden_states", "encoder_hidden_states", "timestep"];
  return {
    ...Object.fromEntries(given.map((name) => [name, goldenArray(goldens, `transformer.${call}.${name}`)])),
    rotary_condition_cos: table(layout.condition.cos),
    rotary_condition_sin: table(layout.condition.sin),
    rotary_image_cos: table(layout.image.cos),
    rotary_image_sin: table(layout.image.sin),
    condition_places: row(layout.places),
    condition_ends: row(layout.ends),
    picture_tokens: row(new Float32Array(image[0] * image[1])),
  };
}

describe("qwenImage21TransformerGraphs()", () => {
  const { config, weights } = component("qwen_image21/tiny-21/transformer");

  it("takes the class's defaults, which are Qwen-Image-2.1's", () => {
    const { innerDim, mlpFeatures, inChannels } = parseQwenImage21Config({});
    assert.deepEqual([innerDim, mlpFeatures, inChannels], [4096, 12288, 64]);
  });

  it("builds in every compute type", () => {
    for (const dtype of ["float32", "float16", "bfloat16"] as const) {
      for (const references of [false, true]) {
        assert.doesNotThrow(() => qwenImage21TransformerGraphs({ config, weights, dtype, references }));
      }
    }
  });

  const REFUSED: RefusedOption[] = [
    ["patch_size", 2, /'patch_size' .*no patches.* 2$/],
    ["num_layers", 0, /'num_layers'.*0/],
    ["axes_dims_rope", [2, 3, 5], /'axes_dims_rope/],
    ["axes_dims_rope", [4, 4, 4], /'axes_dims_rope' must add up to 'attention_head_dim'/],
    ["out_channels", 16, /'out_channels' must be 'in_channels' \(8\).* 16$/],
    ["guidance_embeds", true, /'guidance_embeds'/],
    // Options that contradict the tensors' shapes.
    ["context_in_dim", 17, /'txt_in.text_norm.weight'.*\[17\].*\[16\]/],
    ["mlp_ratio", 3, /img_mlp\.gate_layer\.weight'.*\[60,20\].*\[40,20\]/],
    // Options with missing or unused tensors.
    ["num_layers", 3, /'transformer_blocks\.2\./],
    ["num_layers", 1, /'transformer_blocks\.1\./],
  ];
  refusalCases(
    REFUSED,
    (changes) =>
      qwenImage21TransformerGraphs({ config: { ...config, ...changes }, weights, dtype: "float32" }),
  );

  it("refuses a checkpoint with tensors that the config leaves no place for", () => {
    const name = "proj_out.bias";
    const more = new Map([...weights, [name, weights.get("proj_out.weight")!]]);
    assertRefused(
      () => qwenImage21TransformerGraphs({ config, weights: more, dtype: "float32" }),
      /proj_out\.bias/,
    );
  });
});

describe("qwenImage21Layout()", () => {
  /** Positions of a token on the three axes, of tables with one pair of channels an axis. */
  const angles = ({ cos, sin }: QwenImage21Layout["image"], token: number) =>
    [0, 1, 2].map((i) => Math.round(Math.atan2(sin[3 * token + i]!, cos[3 * token + i]!) * 1e4) / 1e4);
  const sizes = { height: 2, width: 3, axesDims: [2, 2, 2] };

  it("counts text from 0, and puts the image one frame after it, its middle at 0", () => {
    const { condition, image, places, ends } = qwenImage21Layout({ textTokens: 3, ...sizes });
    assert.deepEqual([0, 1, 2].map((token) => angles(condition, token)), [[0, 0, 0], [1, 1, 1], [2, 2, 2]]);
    assert.deepEqual([angles(image, 0), angles(image, 5)], [[3, -1, -2], [3, 0, 0]]);
    assert.deepEqual([[...places], [...ends]], [[0, 1, 2], [1, 2, 3]]);
  });

  it("puts references inside the text, each a block that sees itself and all before it", () => {
    const { condition, image, places, ends } = qwenImage21Layout({
      textTokens: 2,
      references: [{ height: 1, width: 2 }, { height: 1, width: 1 }],
      referencePlaces: [1, 1],
      ...sizes,
    });
    // text, two tokens, one token, text; the references stand first.
    assert.deepEqual([...places], [1, 2, 3, 0, 4]);
    assert.deepEqual([...ends], [3, 3, 4, 1, 5]);
    const expected = [[1, -1, -1], [1, -1, 0], [3, -1, -1], [0, 0, 0], [-2.2832, -2.2832, -2.2832]];
    const found = expected.map((_, token) => angles(condition, token));
    // The second text token is at 4, whose angle is 4 - 2 pi.
    assert.deepEqual(found, expected);
    assert.equal(angles(image, 5)[0], Math.round((5 - 2 * Math.PI) * 1e4) / 1e4);
  });
});
