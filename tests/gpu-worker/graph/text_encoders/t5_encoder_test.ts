import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { relativePositionBucket } from "../../../../gpu-worker/graph/layers/attention/relative_position_bias.ts";
import { t5EncoderGraph } from "../../../../gpu-worker/graph/text_encoders/t5_encoder.ts";
import { loadGoldens, maxError } from "../../../goldens/golden.ts";
import { component } from "../component.ts";
import { runGraph } from "../run_graph.ts";
import { refusalCases, type RefusedOption } from "../refusal.ts";

/** Both sides compute in float32, but sum in another order, which three blocks magnify to about 2e-6. */
const TOLERANCE = 2e-5;
const dtype = "float32";

const CHECKPOINTS = [
  { goldens: "flux/tiny-dev", folder: "flux/tiny-dev/text_encoder_2" },
  { goldens: "flux/tiny-schnell", folder: "flux/tiny-schnell/text_encoder_2" },
  { goldens: "emoji", folder: "../../models/emoji/text_encoder_2" },
];

describe("t5EncoderGraph()", () => {
  for (const { goldens: name, folder } of CHECKPOINTS) {
    for (const prompt of ["plain", "empty", "unicode"]) {
      it(`gives transformers' states of ${name}, '${prompt}' prompt`, async () => {
        const goldens = loadGoldens(name);
        const inputs = { input_ids: goldens.get(`text.${prompt}.t5_input_ids`)! };
        const outputs = await runGraph(t5EncoderGraph({ ...component(folder), dtype }), inputs);
        const { shape, data } = outputs["last_hidden_state"]!;
        assert.deepEqual(shape, goldens.shape(`text.${prompt}.t5_last_hidden_state`));
        assert(maxError(data, goldens.floats(`text.${prompt}.t5_last_hidden_state`)) <= TOLERANCE);
      });
    }
  }

  it("hides padding where it is given the attention mask", async () => {
    const goldens = loadGoldens("components");
    const model = t5EncoderGraph({
      ...component("flux/tiny-schnell/text_encoder_2"),
      dtype,
      attentionMask: true,
    });
    const outputs = await runGraph(model, {
      input_ids: goldens.get("t5.masked.input_ids")!,
      attention_mask: goldens.get("t5.masked.attention_mask")!,
    });
    const expected = goldens.floats("t5.masked.last_hidden_state");
    assert(maxError(outputs["last_hidden_state"]!.data, expected) <= TOLERANCE);
  });

  for (const name of ["wan/tiny-unipc", "wan/tiny-euler"]) {
    for (const prompt of ["plain", "empty", "unicode"]) {
      it(`gives UMT5's states of ${name}, '${prompt}' prompt, of its own tokens alone`, async () => {
        const goldens = loadGoldens(name);
        const { shape: [, length], data } = goldens.get(`text.${prompt}.input_ids`)!;
        const tokens = data.indexOf(1) + 1; // </s> ends every prompt
        const className = "UMT5EncoderModel";
        const model = t5EncoderGraph({ ...component(`${name}/text_encoder`), dtype, className });
        const inputs = { input_ids: { shape: [1, tokens], data: data.slice(0, tokens) } };
        const { last_hidden_state: states } = await runGraph(model, inputs);
        // WanPipeline encodes with the padding masked, then puts zeros in its place.
        const padded = new Float32Array(length! * states!.shape[2]!);
        padded.set(states!.data);
        assert(maxError(padded, goldens.floats(`text.${prompt}.prompt_embeds`)) <= TOLERANCE);
      });
    }
  }

  it("finds the embedding under either name", () => {
    const { config, weights } = component("flux/tiny-dev/text_encoder_2");
    const renamed = new Map(
      [...weights].map(([name, entry]) => [name.replace("shared.", "encoder.embed_tokens."), entry]),
    );
    assert(renamed.has("encoder.embed_tokens.weight"));
    assert.doesNotThrow(() => t5EncoderGraph({ config, weights: renamed, dtype }));
  });

  it("keeps a float16 encoder's residual stream in float32", () => {
    const source = component("flux/tiny-dev/text_encoder_2");
    const count = (dtype: "float16" | "bfloat16") => {
      const text = new TextDecoder("latin1").decode(t5EncoderGraph({ ...source, dtype }).bytes);
      return text.split("Cast").length;
    };
    assert(count("float16") > count("bfloat16"));
  });

  const REFUSED: RefusedOption[] = [
    ["feed_forward_proj", "gated-tanhshrink", /option 'feed_forward_proj' of T5EncoderModel/],
    ["feed_forward_proj", "double-gated-gelu", /option 'feed_forward_proj'/],
    ["dense_act_fn", "xielu", /option 'dense_act_fn'/],
    ["is_decoder", true, /option 'is_decoder'/],
    ["model_type", "umt5", /option 'model_type'.*"umt5"/],
    [
      "relative_attention_max_distance",
      8,
      /'relative_attention_max_distance' must exceed a quarter.*8 and 32/,
    ],
    ["relative_attention_num_buckets", 2, /option 'relative_attention_num_buckets'/],
    ["scalable_attention", true, /no option 'scalable_attention'/],
    ["num_experts", 8, /no option 'num_experts'/],
    ["d_model", 24, /'shared.weight' must have the shape \[208,24\].*\[208,20\]/],
  ];
  const { config, weights } = component("flux/tiny-dev/text_encoder_2");
  refusalCases(REFUSED, (changes) => t5EncoderGraph({ config: { ...config, ...changes }, weights, dtype }));
});

describe("relativePositionBucket()", () => {
  // Distances at which transformers 5.23 starts a new bucket:
  // T5Attention._relative_position_bucket(torch.arange(1, 400), True, ...).
  const CASES = [
    { buckets: 32, maxDistance: 128, starts: [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91] },
    { buckets: 16, maxDistance: 20, starts: [1, 2, 3, 4, 6, 9, 14] },
  ];
  for (const { buckets, maxDistance, starts } of CASES) {
    it(`gives transformers' ${buckets} buckets up to ${maxDistance} tokens, both ways`, () => {
      for (let distance = 0; distance < 400; distance++) {
        const before = starts.filter((start) => start <= distance).length;
        const after = distance === 0 ? 0 : buckets / 2 + before;
        assert.equal(relativePositionBucket(-distance, { buckets, maxDistance }), before, `-${distance}`);
        assert.equal(relativePositionBucket(distance, { buckets, maxDistance }), after, `${distance}`);
      }
    });
  }
});
