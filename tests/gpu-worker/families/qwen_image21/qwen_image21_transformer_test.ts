import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parseQwenImage21Config } from "../../../../gpu-worker/families/qwen_image21/qwen_image21_config.ts";
import {
  type QwenImage21Layout,
  qwenImage21Layout,
} from "../../../../gpu-worker/families/qwen_image21/qwen_image21_layout.ts";
import { qwenImage21TransformerGraphs } from "../../../../gpu-worker/families/qwen_image21/qwen_image21_transformer.ts";
import { goldenPath, loadGoldens } from "../../../goldens/golden.ts";
import { component } from "../../graph/component.ts";
import { type FloatArrays, goldenArray } from "../../graph/float_array.ts";
import { assertRefused, refusalCases, type RefusedOption } from "../../graph/refusal.ts";
import { transformerCases } from "../../graph/transformer_cases.ts";

/** As many branches as the inputs of "batch". */
const BRANCHES = { shape: [2], data: new Float32Array(2) };

interface TrunkCase {
  /** Folder of the goldens in tests/goldens/qwen_image21. */
  name: string;
  /** Folder of the checkpoint. */
  checkpoint: string;
}

/** A recorded call: rows and columns of tokens, and tokens of the text around the references. */
interface RecordedCall {
  image: [number, number];
  references: [number, number][];
  texts: number[];
}

const TRUNKS: TrunkCase[] = [
  { name: "tiny-21", checkpoint: "tiny-21" },
  { name: "tiny-plain", checkpoint: "tiny-plain" },
  { name: "references", checkpoint: "tiny-21" },
];

for (const { name, checkpoint } of TRUNKS) {
  describe(`qwenImage21TransformerGraphs() of ${name}`, () => {
    const goldens = loadGoldens(`qwen_image21/${name}`);
    const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath(`qwen_image21/${name}/goldens.json`)));
    const parts = component(`qwen_image21/${checkpoint}/transformer`);
    const { axesDimsRope: axesDims } = parseQwenImage21Config(parts.config);
    transformerCases({
      build: (dtype) => qwenImage21TransformerGraphs({ ...parts, dtype }),
      goldens,
      inputsOf(call) {
        const given = ["hidden_states", "encoder_hidden_states", "timestep"];
        return {
          ...Object.fromEntries(
            given.map((name) => [name, goldenArray(goldens, `transformer.${call}.${name}`)]),
          ),
          ...layoutInputs(recordedCall(cases[`transformer.${call}`]), axesDims),
        };
      },
      further: { branches: BRANCHES },
    });
  });
}

/** Calls without references name their sizes otherwise. */
function recordedCall(call: RecordedCall | Record<string, number>): RecordedCall {
  if ("image" in call) return call as RecordedCall;
  const { height_tokens, width_tokens, text_tokens } = call;
  return { image: [height_tokens!, width_tokens!], references: [], texts: [text_tokens!] };
}

/** The trunk's inputs that follow from where tokens stand. */
function layoutInputs({ image, references, texts }: RecordedCall, axesDims: readonly number[]): FloatArrays {
  const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
  const layout = qwenImage21Layout({
    textTokens: sum(texts),
    references: references.map(([height, width]) => ({ height, width })),
    referencePlaces: references.map((_, i) => sum(texts.slice(0, i + 1))),
    height: image[0],
    width: image[1],
    axesDims,
  });
  const pairs = sum(axesDims) / 2;
  const table = (data: Float32Array<ArrayBuffer>) => ({ shape: [data.length / pairs, pairs], data });
  const row = (data: Float32Array<ArrayBuffer>) => ({ shape: [data.length], data });
  return {
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
      assert.doesNotThrow(() => qwenImage21TransformerGraphs({ config, weights, dtype }));
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
    assert.deepEqual([[...places], [...ends]], [[0, 1, 2], [1, 2, 3, 0, 0, 0, 0, 0]]);
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
    assert.deepEqual([...ends], [3, 3, 4, 1, 5, 0, 0, 0]);
    const expected = [[1, -1, -1], [1, -1, 0], [3, -1, -1], [0, 0, 0], [-2.2832, -2.2832, -2.2832]];
    const found = expected.map((_, token) => angles(condition, token));
    // The second text token is at 4, whose angle is 4 - 2 pi.
    assert.deepEqual(found, expected);
    assert.equal(angles(image, 5)[0], Math.round((5 - 2 * Math.PI) * 1e4) / 1e4);
  });
});
