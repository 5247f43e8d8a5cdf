import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { clipTextEncoderGraph } from "../../../../gpu-worker/graph/text_encoders/clip_text_encoder.ts";
import { CheckpointError } from "../../../../gpu-worker/checkpoint/checkpoint_error.ts";
import { type GoldenTensor, loadGoldens, maxError } from "../../../goldens/golden.ts";
import { component } from "../component.ts";
import { runGraph } from "../run_graph.ts";
import { refusalCases, type RefusedOption } from "../refusal.ts";

/** Both sides compute in float32, but sum in another order, which three layers magnify to about 5e-7. */
const TOLERANCE = 1e-5;
const dtype = "float32";

const CHECKPOINTS = [
  { goldens: "flux/tiny-dev", folder: "flux/tiny-dev/text_encoder" },
  { goldens: "flux/tiny-schnell", folder: "flux/tiny-schnell/text_encoder" },
  { goldens: "emoji", folder: "../../models/emoji/text_encoder" },
];

const encode = (inputIds: GoldenTensor | undefined, options: Parameters<typeof clipTextEncoderGraph>[0]) =>
  runGraph(clipTextEncoderGraph(options), { input_ids: inputIds! });

describe("clipTextEncoderGraph()", () => {
  for (const { goldens: name, folder } of CHECKPOINTS) {
    for (const prompt of ["plain", "empty", "unicode"]) {
      it(`gives transformers' states of ${name}, '${prompt}' prompt`, async () => {
        const goldens = loadGoldens(name);
        const outputs = await encode(goldens.get(`text.${prompt}.clip_input_ids`), {
          ...component(folder),
          dtype,
        });
        const { last_hidden_state: states, pooled_output: pooled } = outputs;
        const expected = goldens.floats(`text.${prompt}.clip_last_hidden_state`);
        assert.deepEqual(states!.shape, goldens.shape(`text.${prompt}.clip_last_hidden_state`));
        assert(maxError(states!.data, expected) <= TOLERANCE);
        assert(maxError(pooled!.data, goldens.floats(`text.${prompt}.clip_pooled`)) <= TOLERANCE);
      });
    }
  }

  it("gives the projected and the penultimate output of CLIPTextModelWithProjection", async () => {
    const goldens = loadGoldens("components");
    const outputs = await encode(goldens.get("text.projection.input_ids"), {
      ...component("components/text_encoder_2"),
      dtype,
    });
    for (const name of ["last_hidden_state", "penultimate_hidden_state", "text_embeds"]) {
      assert.deepEqual(outputs[name]!.shape, goldens.shape(`text.projection.${name}`));
      assert(maxError(outputs[name]!.data, goldens.floats(`text.projection.${name}`)) <= TOLERANCE, name);
    }
  });

  it("leaves out unused outputs and the layers that only they need", async () => {
    const source = component("components/text_encoder_2");
    const goldens = loadGoldens("components");
    const options = { ...source, dtype, outputs: ["penultimate_hidden_state"] } as const;
    const outputs = await encode(goldens.get("text.projection.input_ids"), options);
    assert.deepEqual(Object.keys(outputs), ["penultimate_hidden_state"]);
    const expected = goldens.floats("text.projection.penultimate_hidden_state");
    assert(maxError(outputs["penultimate_hidden_state"]!.data, expected) <= TOLERANCE);
    const lastLayer = new Map([...source.weights].filter(([name]) => !name.includes("layers.2.")));
    assert.doesNotThrow(() => clipTextEncoderGraph({ ...options, weights: lastLayer }));
  });

  it("takes the class that model_index.json names before the config's", () => {
    const source = component("components/text_encoder_2");
    assert.throws(
      () => clipTextEncoderGraph({ ...source, dtype, className: "CLIPTextModel", outputs: ["text_embeds"] }),
      new CheckpointError(
        "Cannot compute 'text_embeds' from text_encoder as CLIPTextModel has no projection",
      ),
    );
  });

  const REFUSED: RefusedOption[] = [
    ["hidden_act", "laplace", /option 'hidden_act' of CLIPTextModel is not supported: .*"laplace"/],
    ["pruned_heads", { "0": [1] }, /option 'pruned_heads'.*no heads can be pruned/],
    ["eos_token_id", [2, 3], /option 'eos_token_id'/],
    ["num_hidden_layers", 0, /option 'num_hidden_layers'/],
    ["num_attention_heads", 3, /'hidden_size' must be a multiple of 'num_attention_heads'.*16 and 3/],
    ["quantization_config", {}, /no option 'quantization_config'/],
    ["text_config", {}, /no option 'text_config'/],
    ["architectures", ["CLIPModel"], /option 'architectures.0'/],
    ["vocab_size", 600, /'text_model.embeddings.token_embedding.weight' must have the shape \[600,16\]/],
  ];
  const { config, weights } = component("flux/tiny-dev/text_encoder");
  refusalCases(
    REFUSED,
    (changes) => clipTextEncoderGraph({ config: { ...config, ...changes }, weights, dtype }),
  );

  it("ignores training and generation options of old configs", () => {
    const old = {
      torch_dtype: "float16",
      dropout: 0,
      num_beams: 1,
      top_k: 50,
      return_dict: true,
      pruned_heads: {},
    };
    const build = (config: unknown) => clipTextEncoderGraph({ config, weights, dtype }).bytes;
    assert.deepEqual(build({ ...config, ...old }), build(config));
  });
});
