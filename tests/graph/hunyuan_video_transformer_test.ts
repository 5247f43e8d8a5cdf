import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parseHunyuanVideoTransformerConfig } from "../../gpu-worker/graph/hunyuan_video_config.ts";
import { hunyuanVideoRotaryTables } from "../../gpu-worker/graph/hunyuan_video_rotary.ts";
import { hunyuanVideoTransformerGraphs } from "../../gpu-worker/graph/hunyuan_video_transformer.ts";
import { CheckpointError } from "../../gpu-worker/graph/weights/checkpoint_error.ts";
import type { Weights } from "../../gpu-worker/graph/weights/weights.ts";
import type { DType } from "../../gpu-worker/runtime/mod.ts";
import { goldenPath, type Goldens, loadGoldens, maxError } from "../goldens/golden.ts";
import { component } from "./_component.ts";
import {
  atOneTime,
  concat,
  type FloatArray,
  type FloatArrays,
  goldenArray,
  matrix,
  row,
  run,
  stack,
} from "./_float_array.ts";
import { HalfGraphs } from "./_half_graphs.ts";
import { runHead } from "./_run_head.ts";

/** float32 on both sides; sums are taken in another order, as the text stands before the video here. */
const TOLERANCE = 1e-5;
const CALLS = { "tiny-distilled": ["start", "masked", "batch"], "tiny-plain": ["start", "batch"] };

for (const [name, calls] of Object.entries(CALLS)) {
  describe(`hunyuanVideoTransformerGraphs() of ${name}`, () => {
    const goldens = loadGoldens(`hunyuan_video/${name}`);
    const parts = component(`hunyuan_video/${name}/transformer`);
    const graphs = hunyuanVideoTransformerGraphs({ ...parts, dtype: "float32" });
    const trunk = (inputs: FloatArrays) => run(graphs.trunk, inputs);
    const head = (inputs: FloatArrays) => runHead(graphs, inputs);
    const inputsOf = (call: string) => trunkInputs(goldens, { name, call, config: parts.config });

    for (const call of calls) {
      it(`trunk gives diffusers' feature and output without the masked text, '${call}' inputs`, async () => {
        const { feature, output } = await trunk(inputsOf(call));
        assert.deepEqual(output!.shape, goldens.shape(`transformer.${call}.output`));
        assert(maxError(feature!.data, goldens.floats(`transformer.${call}.feature`)) <= TOLERANCE);
        assert(maxError(output!.data, goldens.floats(`transformer.${call}.output`)) <= TOLERANCE);
      });
    }

    it("trunk computes each row of a batch as it would alone", async () => {
      const inputs = inputsOf("batch");
      const { output: together } = await trunk(inputs);
      for (const index of [0, 1]) {
        const { output: alone } = await trunk(mapBatched(inputs, (array) => row(array, index)));
        assert(maxError(alone!.data, row(together!, index).data) <= TOLERANCE);
      }
    });

    it("head gives the trunk's output where the weights select one slot", async () => {
      const inputs = atOneTime(inputsOf("batch"));
      const { feature, output } = await trunk(inputs);
      const other = { ...feature!, data: feature!.data.map((x) => 3 - x) };
      const history = stack([other, feature!]);
      const actual = await head({ ...conditioning(inputs), forecast_weights: matrix([0, 1]), history });
      assert.deepEqual(actual.shape, output!.shape);
      assert(maxError(actual.data, output!.data) <= TOLERANCE);
    });

    it("head forecasts several steps in one run as it would one by one, step-major", async () => {
      const first = atOneTime(inputsOf("batch"));
      // Other latents at another time, the same prompts.
      const second = {
        ...mapBatched(first, ({ shape, data }) => ({ shape, data: data.map((x) => x * 0.9) })),
        ...prompts(first),
      };
      const steps: FloatArrays[] = [
        { ...conditioning(first), forecast_weights: matrix([0.25, 0.625]) },
        { ...conditioning(second), forecast_weights: matrix([-0.5, 1.5]) },
      ];
      const history = stack([(await trunk(first))["feature"]!, (await trunk(second))["feature"]!]);
      const expected = [];
      for (const step of steps) expected.push(await head({ ...step, history }));
      const joined = (name: string) => concat(steps.map((step) => step[name]!));
      const actual = await head({
        ...prompts(first),
        timestep: joined("timestep"),
        forecast_weights: joined("forecast_weights"),
        history,
      });
      assert.deepEqual(actual.shape, concat(expected).shape);
      assert(maxError(actual.data, concat(expected).data) <= TOLERANCE);
    });

    it("float16 graphs stay near float32", async () => {
      using half = await HalfGraphs.open(hunyuanVideoTransformerGraphs({ ...parts, dtype: "float16" }));
      const { output } = await half.trunk(inputsOf("batch"));
      // 11 bits of mantissa through a dozen layers.
      assert(maxError(output, goldens.floats("transformer.batch.output")) <= 1e-2);
    });
  });
}

describe("hunyuanVideoTransformerGraphs()", () => {
  const { config, weights } = component("hunyuan_video/tiny-distilled/transformer");
  const build = (changes: { config?: object; weights?: Weights; dtype?: DType }) => () =>
    hunyuanVideoTransformerGraphs({
      config: { ...config, ...changes.config },
      weights: changes.weights ?? weights,
      dtype: changes.dtype ?? "float32",
    });
  const refuses = (changes: Parameters<typeof build>[0], message: RegExp) =>
    assert.throws(build(changes), (error) => error instanceof CheckpointError && message.test(error.message));

  it("builds in every compute type", () => {
    for (const dtype of ["float32", "float16", "bfloat16"] as const) assert.doesNotThrow(build({ dtype }));
  });

  const REFUSED: [option: string, value: unknown, message: RegExp][] = [
    ["image_condition_type", "latent_concat", /'image_condition_type'.*only text to video.*"latent_concat"/],
    ["image_condition_type", "token_replace", /'image_condition_type'.*"token_replace"/],
    ["qk_norm", "l2", /'qk_norm'.*"l2"/],
    ["rope_axes_dim", [2, 3, 5], /'rope_axes_dim/],
    ["rope_axes_dim", [4, 4, 4], /'rope_axes_dim' must add up to 'attention_head_dim'/],
    ["out_channels", 8, /'out_channels' must equal 'in_channels' \(16\): current value is 8/],
    ["has_image_proj", true, /no option 'has_image_proj'/],
    ["mlp_ratio", 2, /'transformer_blocks.0.ff.net.0.proj.weight'.*\[40,20\].*\[80,20\]/],
    ["patch_size_t", 2, /'x_embedder.proj.weight'.*\[20,16,2,2,2\]/],
    ["num_refiner_layers", 1, /no place for: 'context_embedder.token_refiner.refiner_blocks.1/],
    ["guidance_embeds", false, /no place for: 'time_text_embed.guidance_embedder/],
    ["num_layers", 3, /no tensor 'transformer_blocks.2./],
  ];
  for (const [option, value, message] of REFUSED) {
    it(`refuses ${option} ${JSON.stringify(value)} by name`, () => {
      refuses({ config: { [option]: value } }, message);
    });
  }
});

interface TrunkCall {
  name: string;
  call: string;
  config: unknown;
}

/** As diffusers was called, its masked text tokens left out. */
function trunkInputs(goldens: Goldens, { name, call, config: json }: TrunkCall): FloatArrays {
  const golden = (tensor: string) => goldenArray(goldens, `transformer.${call}.${tensor}`);
  const names = ["hidden_states", "encoder_hidden_states", "pooled_projections", "timestep", "guidance"];
  const inputs: FloatArrays = Object.fromEntries(
    names.filter((tensor) => goldens.has(`transformer.${call}.${tensor}`)).map((
      tensor,
    ) => [tensor, golden(tensor)]),
  );
  const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath(`hunyuan_video/${name}/goldens.json`)));
  const valid: number = cases[`transformer.${call}`].valid_text_tokens;
  const config = parseHunyuanVideoTransformerConfig(json);
  const [, , frames, height, width] = inputs["hidden_states"]!.shape as [
    number,
    number,
    number,
    number,
    number,
  ];
  const { cos, sin } = hunyuanVideoRotaryTables({
    textTokens: valid,
    grid: [frames / config.patchSizeT, height / config.patchSize, width / config.patchSize],
    axesDims: config.ropeAxesDim,
    theta: config.ropeTheta,
  });
  const shape = [2 * cos.length / config.attentionHeadDim, config.attentionHeadDim / 2];
  return {
    ...inputs,
    encoder_hidden_states: firstTokens(inputs["encoder_hidden_states"]!, valid),
    rotary_cos: { shape, data: cos },
    rotary_sin: { shape, data: sin },
  };
}

function firstTokens({ shape, data }: FloatArray, count: number): FloatArray {
  const [batch, tokens, features] = shape as [number, number, number];
  const rows = Array.from(
    { length: batch },
    (_, i) => [...data.subarray(i * tokens * features, (i * tokens + count) * features)],
  );
  return { shape: [batch, count, features], data: Float32Array.from(rows.flat()) };
}

/** What the modulation takes: one timestep, and what does not depend on it. */
function conditioning(inputs: FloatArrays): FloatArrays {
  return { ...prompts(inputs), timestep: row(inputs["timestep"]!, 0) };
}

function prompts(inputs: FloatArrays): FloatArrays {
  const names = ["pooled_projections", "guidance"];
  return Object.fromEntries(Object.entries(inputs).filter(([name]) => names.includes(name)));
}

/** Changes the inputs that have a row for each clip. */
function mapBatched(inputs: FloatArrays, change: (array: FloatArray) => FloatArray): FloatArrays {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, array]) => [name, name.startsWith("rotary") ? array : change(array)]),
  );
}
