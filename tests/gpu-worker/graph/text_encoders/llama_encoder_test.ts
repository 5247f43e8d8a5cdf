import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parseLlamaConfig } from "../../../../gpu-worker/graph/text_encoders/llama_config.ts";
import { llamaEncoderGraph } from "../../../../gpu-worker/graph/text_encoders/llama_encoder.ts";
import { loadGoldens, maxError } from "../../../goldens/golden.ts";
import { component } from "../component.ts";
import { runGraph } from "../run_graph.ts";
import { refusalCases, type RefusedOption } from "../refusal.ts";

/** Both sides compute in float32. A few layers magnify the order of sums. */
const TOLERANCE = 1e-5;
/** The pipeline's num_hidden_layers_to_skip, and the length of its template. */
const SKIPPED = 2;
const CROP = 95;

for (const name of ["tiny-distilled", "tiny-plain"]) {
  describe(`llamaEncoderGraph() of ${name}`, () => {
    const goldens = loadGoldens(`hunyuan_video/${name}`);
    const parts = component(`hunyuan_video/${name}/text_encoder`);
    for (const text of ["plain", "empty", "unicode"]) {
      it(`gives transformers' states without the padding, text '${text}'`, async () => {
        const [, valid, features] = goldens.shape(`text.${text}.embeds`) as [number, number, number];
        const data = goldens.ints(`text.${text}.llama_input_ids`).slice(0, CROP + valid);
        const model = llamaEncoderGraph({ ...parts, dtype: "float32", skippedLayers: SKIPPED });
        const { hidden_state } = await runGraph(model, { input_ids: { shape: [1, data.length], data } });
        assert.deepEqual(hidden_state!.shape, [1, CROP + valid, features]);
        const states = hidden_state!.data.subarray(CROP * features);
        assert(maxError(states, goldens.floats(`text.${text}.embeds`)) <= TOLERANCE);
      });
    }
  });
}

describe("llamaEncoderGraph()", () => {
  const { config, weights } = component("hunyuan_video/tiny-distilled/text_encoder");

  it("finds the layers of a LlamaForCausalLM", () => {
    const prefixed = new Map([...weights].map(([name, entry]) => [`model.${name}`, entry]));
    const bytes = (of: typeof weights) =>
      llamaEncoderGraph({ config, weights: of, dtype: "float32", skippedLayers: 2 }).bytes.length;
    assert.ok(bytes(prefixed) > bytes(weights));
  });

  it("needs no weights of the layers that it skips", () => {
    const needed = new Map([...weights].filter(([name]) => !/^(layers\.[23]|norm)\./.test(name)));
    assert.ok(needed.size < weights.size);
    assert.doesNotThrow(() =>
      llamaEncoderGraph({ config, weights: needed, dtype: "float32", skippedLayers: 2 })
    );
  });
});

describe("parseLlamaConfig()", () => {
  const { config } = component("hunyuan_video/tiny-distilled/text_encoder");
  const parse = (changes: object) =>
    parseLlamaConfig({ ...config, ...changes }, { name: "text_encoder", skippedLayers: 2 });

  it("reads transformers 4's rotary options like transformers 5's", () => {
    const llama3 = {
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    };
    const present = parse({ rope_parameters: { rope_type: "llama3", rope_theta: 5e5, ...llama3 } });
    const past = { rope_parameters: undefined, rope_theta: 5e5 };
    assert.deepEqual(parse({ ...past, rope_scaling: { rope_type: "llama3", ...llama3 } }), present);
    assert.deepEqual(
      parse({ ...past, rope_scaling: { type: "linear", factor: 2 } }),
      parse({ rope_parameters: { rope_type: "linear", factor: 2, rope_theta: 5e5 } }),
    );
    assert.deepEqual(parse({ ...past, rope_scaling: null }), parse({}));
  });

  const REFUSED: RefusedOption[] = [
    ["rope_parameters", { rope_type: "yarn", factor: 4 }, /'rope_parameters.rope_type' of LlamaModel/],
    ["rope_parameters", { rope_type: "linear" }, /'rope_parameters.factor'/],
    ["rope_parameters", { rope_type: "default", partial_rotary_factor: 0.5 }, /partial_rotary_factor/],
    ["rope_scaling", { type: "dynamic", factor: 4 }, /'rope_scaling.rope_type'/],
    ["hidden_act", "elu", /'hidden_act'/],
    ["num_key_value_heads", 3, /'num_key_value_heads' must divide the 4 heads: current value is 3/],
    ["num_attention_heads", 5, /'hidden_size' must be a multiple of the 5 heads/],
    ["head_dim", 5, /'head_dim' must be even/],
    ["num_hidden_layers", 1, /'num_hidden_layers' must be at least 2/],
    ["sliding_window", 4, /no option 'sliding_window'/],
  ];
  refusalCases(REFUSED, parse);
});
