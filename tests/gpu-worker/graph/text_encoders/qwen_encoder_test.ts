import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import {
  parseQwenConfig,
  type QwenArchitecture,
} from "../../../../gpu-worker/graph/text_encoders/qwen_config.ts";
import { qwenEncoderGraph } from "../../../../gpu-worker/graph/text_encoders/qwen_encoder.ts";
import { openTokenizer } from "../../../../gpu-worker/text/tokenizer/tokenizer.ts";
import { goldenPath, loadGoldens, maxError } from "../../../goldens/golden.ts";
import { component } from "../component.ts";
import { assertRefused, refusalCases, type RefusedOption } from "../refusal.ts";
import { runGraph } from "../run_graph.ts";

/** Both sides compute in float32. A few layers magnify the order of sums. */
const TOLERANCE = 1e-5;
const MAX_LENGTH = 48;

interface EncoderCase {
  architecture: QwenArchitecture;
  states: number[];
  finalNorm?: boolean;
  /** Whether the goldens hold the states of padding. */
  masksPadding?: boolean;
}

const CASES: EncoderCase[] = [
  { architecture: "qwen3", states: [1, 3, 2], masksPadding: true },
  { architecture: "qwen2_5_vl", states: [-1], finalNorm: true },
  { architecture: "qwen3_vl", states: [0, -2] },
];

for (const { architecture, ...options } of CASES) {
  describe(`qwenEncoderGraph() of ${architecture}`, () => {
    const goldens = loadGoldens(`qwen/${architecture}`);
    const calls = JSON.parse(Deno.readTextFileSync(goldenPath(`qwen/${architecture}/goldens.json`))).cases;
    const parts = component(`qwen/${architecture}/text_encoder`);
    const graph = qwenEncoderGraph({ ...parts, architecture, dtype: "float32", ...options });
    for (const text of ["plain", "empty", "unicode"]) {
      it(`gives transformers' states, text '${text}'`, async () => {
        const expected = goldens.floats(`text.${text}.hidden_state`);
        const [, tokens] = goldens.shape(`text.${text}.hidden_state`) as [number, number, number];
        const row = (name: string) => ({
          shape: [1, tokens],
          data: goldens.ints(`text.${text}.${name}`).slice(0, tokens),
        });
        const { hidden_state } = await runGraph(graph, {
          input_ids: row("input_ids"),
          ...options.masksPadding && { attention_mask: row("attention_mask") },
        });
        assert.deepEqual(hidden_state!.shape, goldens.shape(`text.${text}.hidden_state`));
        assert(maxError(hidden_state!.data, expected) <= TOLERANCE);
      });

      it(`gets transformers' ids from the tokenizer, text '${text}'`, async () => {
        const tokenizer = openTokenizer(goldenPath(`qwen/${architecture}/tokenizer`));
        const { ids, attentionMask } = await tokenizer.encode(calls[`text.${text}`].text, {
          maxLength: MAX_LENGTH,
        });
        assert.deepEqual(ids, [...goldens.ints(`text.${text}.input_ids`)]);
        assert.deepEqual(attentionMask, [...goldens.ints(`text.${text}.attention_mask`)]);
      });
    }
  });
}

describe("qwenEncoderGraph()", () => {
  const { config, weights } = component("qwen/qwen3/text_encoder");
  const build = (states: number[], of = weights) =>
    qwenEncoderGraph({ architecture: "qwen3", config, weights: of, dtype: "float32", states });

  it("needs no weights behind the last state", () => {
    const needed = new Map([...weights].filter(([name]) => !/\.(layers\.[23]|norm)\./.test(name)));
    assert.ok(needed.size < weights.size);
    assert.doesNotThrow(() => build([1, 2], needed));
  });

  it("finds the layers of every class under the names that transformers 4 and 5 write", () => {
    for (const root of ["", "model.language_model.", "language_model."]) {
      const renamed = new Map([...weights].map(([name, entry]) => [name.replace("model.", root), entry]));
      assert.doesNotThrow(() => build([4], renamed));
    }
  });

  it("refuses a model with fewer layers than the states need", () => {
    assertRefused(() => build([3, 9]), /'num_hidden_layers' must be at least 9: current value is 4/);
    assertRefused(() => build([-6]), /'num_hidden_layers' must be at least 5: current value is 4/);
  });
});

describe("parseQwenConfig()", () => {
  const { config } = component("qwen/qwen3/text_encoder");
  const parse = (changes: object) => parseQwenConfig({ ...config, ...changes }, { architecture: "qwen3" });

  it("reads the options that Qwen-Image's text encoder was published with", () => {
    const published = {
      architectures: ["Qwen2_5_VLForConditionalGeneration"],
      ...{ hidden_size: 3584, intermediate_size: 18944, num_attention_heads: 28, num_hidden_layers: 28 },
      ...{ num_key_value_heads: 4, rms_norm_eps: 1e-6, vocab_size: 152064, model_type: "qwen2_5_vl" },
      ...{
        rope_theta: 1e6,
        rope_scaling: { mrope_section: [16, 24, 24], rope_type: "default", type: "default" },
      },
      ...{ use_sliding_window: false, sliding_window: 32768, max_window_layers: 28, vision_token_id: 151654 },
    };
    const { headDim, inverseFrequencies } = parseQwenConfig(published, { architecture: "qwen2_5_vl" });
    assert.equal(headDim, 128);
    assert.equal(inverseFrequencies.at(-1), 1 / 1e6 ** (126 / 128));
  });

  const REFUSED: RefusedOption[] = [
    ["use_sliding_window", true, /'use_sliding_window' of Qwen3ForCausalLM/],
    ["layer_types", ["sliding_attention"], /'layer_types.0'/],
    ["num_key_value_heads", 3, /'num_key_value_heads' must divide the 4 heads: current value is 3/],
    ["head_dim", 5, /'head_dim' must be even/],
    ["rope_parameters", { rope_type: "yarn", factor: 4 }, /'rope_parameters.rope_type'/],
    ["mlp_bias", true, /no option 'mlp_bias'/],
    ["hidden_act", "elu", /'hidden_act'/],
  ];
  refusalCases(REFUSED, parse);
});
