import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { fluxRotaryTables } from "../../gpu-worker/graph/flux_rotary.ts";
import { fluxTransformerGraphs } from "../../gpu-worker/graph/flux_transformer.ts";
import { CheckpointError } from "../../gpu-worker/graph/weights/checkpoint_error.ts";
import type { Weights } from "../../gpu-worker/graph/weights/weights.ts";
import type { DType } from "../../gpu-worker/runtime/mod.ts";
import { type Goldens, loadGoldens, maxError } from "../goldens/golden.ts";
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

/** float32 on both sides; a hundred layers magnify the order of sums to about 5e-7. */
const TOLERANCE = 1e-5;

for (const name of ["tiny-dev", "tiny-schnell"]) {
  describe(`fluxTransformerGraphs() of ${name}`, () => {
    const goldens = loadGoldens(`flux/${name}`);
    const parts = component(`flux/${name}/transformer`);
    const graphs = fluxTransformerGraphs({ ...parts, dtype: "float32" });
    const trunk = (inputs: FloatArrays) => run(graphs.trunk, inputs);
    const head = (inputs: FloatArrays) => runHead(graphs, inputs);
    const inputsOf = (call: string) => trunkInputs(goldens, call, parts.config);

    for (const call of ["start", "batch"]) {
      it(`trunk gives diffusers' feature and output, '${call}' inputs`, async () => {
        const { feature, output } = await trunk(inputsOf(call));
        assert.deepEqual(feature!.shape, goldens.shape(`transformer.${call}.feature`));
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

    it("head forecasts the weighted sum of the history", async () => {
      const inputs = conditioning(inputsOf("start"));
      const { feature } = await trunk(inputsOf("start"));
      const other = { ...feature!, data: feature!.data.map((x, i) => Math.sin(i) - x) };
      const sum = { ...feature!, data: feature!.data.map((x, i) => 1.75 * other.data[i]! - 0.5 * x) };
      const actual = await head({
        ...inputs,
        forecast_weights: matrix([-0.5, 1.75]),
        history: stack([feature!, other]),
      });
      const expected = await head({ ...inputs, forecast_weights: matrix([1]), history: stack([sum]) });
      assert(maxError(actual.data, expected.data) <= TOLERANCE);
    });

    it("head forecasts several steps in one run as it would one by one, step-major", async () => {
      const first = atOneTime(inputsOf("batch"));
      // Other latents at another time, the same prompts.
      const second = {
        ...mapBatched(first, ({ shape, data }) => ({ shape, data: data.map((x) => x * 0.9) })),
        ...prompts(first),
      };
      const steps = [
        { ...conditioning(first), forecast_weights: matrix([0.25, 0.625]) },
        { ...conditioning(second), forecast_weights: matrix([-0.5, 1.5]) },
      ];
      const history = stack([(await trunk(first))["feature"]!, (await trunk(second))["feature"]!]);
      const expected = [];
      for (const step of steps) expected.push(await head({ ...step, history }));
      const joined = (name: string) => concat(steps.map((step) => (step as FloatArrays)[name]!));
      const actual = await head({
        ...prompts(first),
        timestep: joined("timestep"),
        forecast_weights: joined("forecast_weights"),
        history,
      });
      assert.deepEqual(actual.shape, concat(expected).shape);
      assert(maxError(actual.data, concat(expected).data) <= TOLERANCE);
    });

    it("head gives the sums of its rows that it is asked for", async () => {
      const inputs = atOneTime(inputsOf("batch"));
      const { feature } = await trunk(inputs);
      const other = { ...feature!, data: feature!.data.map((x, i) => Math.sin(i) - x) };
      const all = {
        ...conditioning(inputs),
        forecast_weights: matrix([0.25, 0.625]),
        history: stack([feature!, other]),
      };
      const rows = await head(all);
      // Guidance by 3, and half a row alone.
      const weights = { shape: [2, 2], data: Float32Array.of(3, -2, 0, 0.5) };
      const sums = await head({ ...all, output_weights: weights });
      const [a, b] = [row(rows, 0).data, row(rows, 1).data];
      const expected = [...a.map((x, i) => 3 * x - 2 * b[i]!), ...b.map((x) => x / 2)];
      assert.deepEqual(sums.shape, rows.shape);
      assert(maxError(sums.data, expected) <= TOLERANCE);
    });

    it("float16 graphs stay near float32, and their head near their trunk", async () => {
      using half = await HalfGraphs.open(fluxTransformerGraphs({ ...parts, dtype: "float16" }));
      const inputs = inputsOf("batch");
      const { output: reference } = await half.trunk(inputs);
      // 11 bits of mantissa through a dozen layers; diffusers' own float16 is off by 1e-3 to 4e-3.
      assert(maxError(reference, goldens.floats("transformer.batch.output")) <= 1e-2);

      const same = atOneTime(inputs);
      const { feature, output } = await half.trunk(same);
      assert.equal(feature.dtype, "float16");
      const forecast = await half.head(feature, conditioning(same));
      // The same few float16 operations on the same feature.
      assert(maxError(forecast, output) <= 2e-3);
    });
  });
}

describe("fluxTransformerGraphs()", () => {
  const { config, weights } = component("flux/tiny-dev/transformer");
  const build = (changes: { config?: object; weights?: Weights; dtype?: DType }) => () =>
    fluxTransformerGraphs({
      config: { ...config, ...changes.config },
      weights: changes.weights ?? weights,
      dtype: changes.dtype ?? "float32",
    });
  const refuses = (changes: Parameters<typeof build>[0], message: RegExp) =>
    assert.throws(build(changes), (error) => error instanceof CheckpointError && message.test(error.message));

  it("builds in every compute type", () => {
    for (const dtype of ["float32", "float16", "bfloat16"] as const) assert.doesNotThrow(build({ dtype }));
  });

  it("refuses an option that it does not know", () => {
    refuses({ config: { qk_norm: "rms_norm" } }, /'qk_norm'/);
  });

  it("refuses values that FluxTransformer2DModel could not use", () => {
    refuses({ config: { num_layers: -1 } }, /'num_layers'.*-1/);
    refuses({ config: { guidance_embeds: "yes" } }, /'guidance_embeds'.*"yes"/);
    refuses({ config: { axes_dims_rope: [2, 3, 5] } }, /'axes_dims_rope/);
    refuses(
      { config: { axes_dims_rope: [4, 4, 4] } },
      /'axes_dims_rope' must add up to 'attention_head_dim'/,
    );
  });

  it("refuses tensors whose shape contradicts the config", () => {
    refuses({ config: { out_channels: 8 } }, /'proj_out.weight'.*\[8,20\].*\[64,20\]/);
    refuses({ config: { patch_size: 2 } }, /'proj_out.weight'.*\[256,20\]/);
    refuses({ config: { joint_attention_dim: 21 } }, /'context_embedder.weight'.*\[20,21\].*\[20,20\]/);
  });

  it("refuses a checkpoint that lacks a tensor", () => {
    const name = "single_transformer_blocks.1.attn.norm_k.weight";
    refuses({ weights: new Map([...weights].filter(([key]) => key !== name)) }, new RegExp(`'${name}'`));
    refuses({ config: { num_layers: 3 } }, /'transformer_blocks\.2\./);
  });

  it("refuses a checkpoint with tensors that the config leaves no place for", () => {
    const lora = "transformer_blocks.0.attn.to_q.lora_A.weight";
    refuses({ weights: new Map([...weights, [lora, weights.get("proj_out.weight")!]]) }, /to_q\.lora_A/);
    refuses({ config: { num_single_layers: 1 } }, /'single_transformer_blocks\.1\./);
    refuses({ config: { guidance_embeds: false } }, /guidance_embedder/);
  });
});

function trunkInputs(goldens: Goldens, call: string, config: Record<string, unknown>): FloatArrays {
  const golden = (name: string) => goldenArray(goldens, `transformer.${call}.${name}`);
  const names = ["hidden_states", "encoder_hidden_states", "pooled_projections", "timestep", "guidance"];
  const inputs: FloatArrays = Object.fromEntries(
    names.filter((name) => goldens.has(`transformer.${call}.${name}`)).map((name) => [name, golden(name)]),
  );
  // The last image token's ids are [0, height - 1, width - 1].
  const [, lastRow, lastColumn] = golden("img_ids").data.slice(-3);
  const textTokens = inputs["encoder_hidden_states"]!.shape[1]!;
  const { cos, sin } = fluxRotaryTables({
    textTokens,
    height: lastRow! + 1,
    width: lastColumn! + 1,
    axesDims: config["axes_dims_rope"] as number[],
  });
  const tokens = textTokens + inputs["hidden_states"]!.shape[1]!;
  const shape = [tokens, cos.length / tokens];
  return { ...inputs, rotary_cos: { shape, data: cos }, rotary_sin: { shape, data: sin } };
}

/** What the modulation takes: one timestep, and what does not depend on it. */
function conditioning(inputs: FloatArrays): FloatArrays {
  return { ...prompts(inputs), timestep: row(inputs["timestep"]!, 0) };
}

function prompts(inputs: FloatArrays): FloatArrays {
  const names = ["pooled_projections", "guidance"];
  return Object.fromEntries(Object.entries(inputs).filter(([name]) => names.includes(name)));
}

/** Changes the inputs that have a row for each picture. */
function mapBatched(inputs: FloatArrays, change: (array: FloatArray) => FloatArray): FloatArrays {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, array]) => [name, name.startsWith("rotary") ? array : change(array)]),
  );
}
