import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { sd3TransformerGraphs } from "../../gpu-worker/graph/sd3_transformer.ts";
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

/** float32 on both sides; the order of sums differs, which a few layers magnify to about 1e-6. */
const TOLERANCE = 1e-5;

for (const name of ["tiny-large", "tiny-medium"]) {
  describe(`sd3TransformerGraphs() of ${name}`, () => {
    const goldens = loadGoldens(`sd3/${name}`);
    const parts = component(`sd3/${name}/transformer`);
    const graphs = sd3TransformerGraphs({ ...parts, dtype: "float32" });
    const { trunk } = graphs;
    const layers = parts.config["num_layers"] as number;
    const inputsOf = (call: string) => trunkInputs(goldens, call, { layers });
    const head = (inputs: FloatArrays) => runHead(graphs, inputs);

    for (const call of ["start", "batch", "skip"]) {
      it(`trunk gives diffusers' feature and output, '${call}' inputs`, async () => {
        const inputs = inputsOf(call);
        for (const skipped of skippedLayers(name, call)) inputs["layer_mask"]!.data[skipped] = 0;
        const { feature, output } = await run(trunk, inputs);
        assert.deepEqual(output!.shape, goldens.shape(`transformer.${call}.output`));
        assert(maxError(feature!.data, goldens.floats(`transformer.${call}.feature`)) <= TOLERANCE);
        assert(maxError(output!.data, goldens.floats(`transformer.${call}.output`)) <= TOLERANCE);
      });
    }

    it("trunk gives its feature rows and columns of patches", async () => {
      const { feature } = await run(trunk, inputsOf("batch"));
      const [, , height, width] = goldens.shape("transformer.batch.hidden_states");
      const patch = parts.config["patch_size"] as number;
      const [batch, , inner] = goldens.shape("transformer.batch.feature");
      assert.deepEqual(feature!.shape, [batch, height! / patch, width! / patch, inner]);
    });

    it("trunk skips layers in the rows that ask for it, and in no other", async () => {
      const inputs = inputsOf("batch");
      inputs["layer_mask"]!.data[layers] = 0; // the first layer of the second row
      const { output } = await run(trunk, inputs);
      assert(
        maxError(row(output!, 0).data, row(goldenArray(goldens, "transformer.batch.output"), 0).data) <=
          TOLERANCE,
      );
      const { output: alone } = await run(trunk, mapRows(inputs, (array) => row(array, 1)));
      assert(maxError(row(output!, 1).data, alone!.data) <= TOLERANCE);
      assert(
        maxError(alone!.data, row(goldenArray(goldens, "transformer.batch.output"), 1).data) > 0.01,
        "skipped",
      );
    });

    it("head gives the trunk's output where the weights select one slot", async () => {
      const inputs = atOneTime(inputsOf("batch"));
      const { feature, output } = await run(trunk, inputs);
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
        ...mapRows(first, ({ shape, data }) => ({ shape, data: data.map((x) => x * 0.9) })),
        ...prompts(first),
      };
      const steps: FloatArrays[] = [
        { ...conditioning(first), forecast_weights: matrix([0.25, 0.625]) },
        { ...conditioning(second), forecast_weights: matrix([-0.5, 1.5]) },
      ];
      const history = stack([(await run(trunk, first))["feature"]!, (await run(trunk, second))["feature"]!]);
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
      const { feature } = await run(trunk, inputs);
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
      using half = await HalfGraphs.open(sd3TransformerGraphs({ ...parts, dtype: "float16" }));
      const inputs = inputsOf("batch");
      const { output: reference } = await half.trunk(inputs);
      // 11 bits of mantissa through a dozen layers.
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

describe("sd3TransformerGraphs()", () => {
  const { config, weights } = component("sd3/tiny-medium/transformer");
  const build = (changes: { config?: object; weights?: Weights; dtype?: DType }) => () =>
    sd3TransformerGraphs({
      config: { ...config, ...changes.config },
      weights: changes.weights ?? weights,
      dtype: changes.dtype ?? "float32",
    });
  const refuses = (changes: Parameters<typeof build>[0], message: RegExp) =>
    assert.throws(build(changes), (error) => error instanceof CheckpointError && message.test(error.message));

  for (const norm of ["layer_norm", "fp32_layer_norm"]) {
    it(`norms queries and keys by ${norm}`, async () => {
      const goldens = loadGoldens("sd3/qk-norms");
      const parts = component(`sd3/qk-norms/${norm}`);
      const { trunk } = sd3TransformerGraphs({ ...parts, dtype: "float32" });
      const { output } = await run(trunk, trunkInputs(goldens, norm, { layers: 2 }));
      assert(maxError(output!.data, goldens.floats(`transformer.${norm}.output`)) <= TOLERANCE);
    });
  }

  it("builds in every compute type", () => {
    for (const dtype of ["float32", "float16", "bfloat16"] as const) assert.doesNotThrow(build({ dtype }));
  });

  it("refuses an option that it does not know", () => {
    refuses({ config: { guidance_embeds: true } }, /'guidance_embeds'/);
  });

  it("refuses values that SD3Transformer2DModel could not use", () => {
    refuses({ config: { num_layers: 0 } }, /'num_layers'.*0/);
    refuses({ config: { qk_norm: "l2" } }, /'qk_norm'.*"l2"/);
    refuses({ config: { pos_embed_max_size: null } }, /'pos_embed_max_size'.*null/);
    refuses({ config: { dual_attention_layers: [-1] } }, /'dual_attention_layers.0'.*-1/);
    refuses({ config: { caption_projection_dim: 16 } }, /'caption_projection_dim' must be .* \(12\).* 16/);
  });

  it("refuses tensors whose shape contradicts the config", () => {
    refuses({ config: { out_channels: 8 } }, /'proj_out.weight'.*\[8,12\].*\[4,12\]/);
    refuses({ config: { patch_size: 2 } }, /'pos_embed.proj.weight'.*\[12,4,2,2\]/);
    refuses({ config: { pos_embed_max_size: 9 } }, /'pos_embed.pos_embed'.*\[1,81,12\].*\[1,100,12\]/);
    refuses({ config: { dual_attention_layers: [0] } }, /'transformer_blocks\.3\.norm1\.linear\.weight'/);
  });

  it("refuses a checkpoint that lacks a tensor", () => {
    refuses({ config: { qk_norm: "rms_norm" } }, /'transformer_blocks\.0\.attn\.norm_q\.weight'/);
    refuses({ config: { num_layers: 5 } }, /'transformer_blocks\.3\./);
  });

  it("refuses a checkpoint with tensors that the config leaves no place for", () => {
    const lora = "transformer_blocks.0.attn.to_q.lora_A.weight";
    refuses({ weights: new Map([...weights, [lora, weights.get("proj_out.weight")!]]) }, /to_q\.lora_A/);
  });
});

function trunkInputs(goldens: Goldens, call: string, { layers }: { layers: number }): FloatArrays {
  const names = ["hidden_states", "encoder_hidden_states", "pooled_projections", "timestep"];
  const inputs = Object.fromEntries(
    names.map((name) => [name, goldenArray(goldens, `transformer.${call}.${name}`)]),
  );
  const batch = inputs["timestep"]!.shape[0]!;
  return {
    ...inputs,
    layer_mask: { shape: [batch, layers], data: new Float32Array(batch * layers).fill(1) },
  };
}

function skippedLayers(checkpoint: string, call: string): number[] {
  const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath(`sd3/${checkpoint}/goldens.json`)));
  return cases[`transformer.${call}`].skip_layers;
}

/** What the modulation takes: one timestep, and what does not depend on it. */
function conditioning(inputs: FloatArrays): FloatArrays {
  return { ...prompts(inputs), timestep: row(inputs["timestep"]!, 0) };
}

function prompts(inputs: FloatArrays): FloatArrays {
  const names = ["pooled_projections"];
  return Object.fromEntries(Object.entries(inputs).filter(([name]) => names.includes(name)));
}

function mapRows(inputs: FloatArrays, change: (array: FloatArray) => FloatArray): FloatArrays {
  return Object.fromEntries(Object.entries(inputs).map(([name, array]) => [name, change(array)]));
}
