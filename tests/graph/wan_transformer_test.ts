import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { wanRotaryTables } from "../../gpu-worker/graph/wan_rotary.ts";
import { parseWanTransformerConfig } from "../../gpu-worker/graph/wan_config.ts";
import { wanTransformerGraphs } from "../../gpu-worker/graph/wan_transformer.ts";
import { CheckpointError } from "../../gpu-worker/graph/weights/checkpoint_error.ts";
import type { Weights } from "../../gpu-worker/graph/weights/weights.ts";
import type { DType } from "../../gpu-worker/runtime/mod.ts";
import { type Goldens, loadGoldens, maxError } from "../goldens/golden.ts";
import { component } from "./_component.ts";
import { HalfGraphs } from "./_half_graphs.ts";
import { runHead } from "./_run_head.ts";
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

/** float32 on both sides; the order of sums differs, which a few layers magnify to about 1e-6. */
const TOLERANCE = 1e-5;
/** As many as the inputs "batch" have. */
const BRANCHES = { shape: [2], data: new Float32Array(2) };

for (const name of ["tiny-unipc", "tiny-euler"]) {
  describe(`wanTransformerGraphs() of ${name}`, () => {
    const goldens = loadGoldens(`wan/${name}`);
    const parts = component(`wan/${name}/transformer`);
    const graphs = wanTransformerGraphs({ ...parts, dtype: "float32" });
    const { trunk } = graphs;
    const inputsOf = (call: string) => trunkInputs(goldens, call, parts.config);
    const head = (inputs: FloatArrays) => runHead(graphs, { branches: BRANCHES, ...inputs });

    for (const call of ["start", "batch"]) {
      it(`trunk gives diffusers' feature and output, '${call}' inputs`, async () => {
        const { feature, output } = await run(trunk, inputsOf(call));
        assert.deepEqual(output!.shape, goldens.shape(`transformer.${call}.output`));
        assert(maxError(feature!.data, goldens.floats(`transformer.${call}.feature`)) <= TOLERANCE);
        assert(maxError(output!.data, goldens.floats(`transformer.${call}.output`)) <= TOLERANCE);
      });
    }

    it("trunk gives its feature frames, rows and columns of patches", async () => {
      const { feature } = await run(trunk, inputsOf("batch"));
      const [, , frames, height, width] = goldens.shape("transformer.batch.hidden_states");
      const { patchHeight, patchWidth, innerDim } = parseWanTransformerConfig(parts.config);
      assert.deepEqual(feature!.shape, [2, frames, height! / patchHeight, width! / patchWidth, innerDim]);
    });

    it("head gives the trunk's output where the weights select one slot", async () => {
      const inputs = atOneTime(inputsOf("batch"));
      const { feature, output } = await run(trunk, inputs);
      const other = { ...feature!, data: feature!.data.map((x) => 3 - x) };
      const history = stack([other, feature!]);
      const timestep = row(inputs["timestep"]!, 0);
      const actual = await head({ timestep, forecast_weights: matrix([0, 1]), history });
      assert.deepEqual(actual.shape, output!.shape);
      assert(maxError(actual.data, output!.data) <= TOLERANCE);
    });

    it("head forecasts several steps in one run as it would one by one, step-major", async () => {
      const first = inputsOf("batch");
      const later = { ...first, timestep: scaled(first["timestep"]!, 0.9) };
      const steps: FloatArrays[] = [
        { timestep: row(first["timestep"]!, 0), forecast_weights: matrix([0.25, 0.625]) },
        { timestep: row(first["timestep"]!, 1), forecast_weights: matrix([-0.5, 1.5]) },
      ];
      const history = stack([(await run(trunk, first))["feature"]!, (await run(trunk, later))["feature"]!]);
      const expected = [];
      for (const step of steps) expected.push(await head({ ...step, history }));
      const joined = Object.keys(steps[0]!).map((key) => [key, concat(steps.map((step) => step[key]!))]);
      const actual = await head({ ...Object.fromEntries(joined), history });
      assert.deepEqual(actual.shape, concat(expected).shape);
      assert(maxError(actual.data, concat(expected).data) <= TOLERANCE);
    });

    it("head gives the sums of its rows that it is asked for", async () => {
      const inputs = atOneTime(inputsOf("batch"));
      const { feature } = await run(trunk, inputs);
      const other = { ...feature!, data: feature!.data.map((x, i) => Math.sin(i) - x) };
      const all = {
        timestep: row(inputs["timestep"]!, 0),
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

    it("float16 graphs stay near float32", async () => {
      using half = await HalfGraphs.open(wanTransformerGraphs({ ...parts, dtype: "float16" }));
      const { output } = await half.trunk(inputsOf("batch"));
      // 11 bits of mantissa through a dozen layers.
      assert(maxError(output, goldens.floats("transformer.batch.output")) <= 1e-2);
    });
  });
}

describe("wanTransformerGraphs()", () => {
  const { config, weights } = component("wan/tiny-unipc/transformer");
  const build = (changes: { config?: object; weights?: Weights; dtype?: DType }) => () =>
    wanTransformerGraphs({
      config: { ...config, ...changes.config },
      weights: changes.weights ?? weights,
      dtype: changes.dtype ?? "float32",
    });
  const refuses = (changes: Parameters<typeof build>[0], message: RegExp) =>
    assert.throws(build(changes), (error) => error instanceof CheckpointError && message.test(error.message));

  it("takes the options of both published models", () => {
    const common = {
      _class_name: "WanTransformer3DModel",
      _diffusers_version: "0.33.0.dev0",
      added_kv_proj_dim: null,
      attention_head_dim: 128,
      cross_attn_norm: true,
      eps: 1e-6,
      freq_dim: 256,
      image_dim: null,
      in_channels: 16,
      out_channels: 16,
      patch_size: [1, 2, 2],
      qk_norm: "rms_norm_across_heads",
      rope_max_seq_len: 1024,
      text_dim: 4096,
    };
    const small = parseWanTransformerConfig({
      ...common,
      ffn_dim: 8960,
      num_attention_heads: 12,
      num_layers: 30,
    });
    const large = parseWanTransformerConfig({
      ...common,
      ffn_dim: 13824,
      num_attention_heads: 40,
      num_layers: 40,
    });
    assert.deepEqual([small.innerDim, large.innerDim], [1536, 5120]);
    // The class's defaults are the larger one.
    assert.deepEqual(parseWanTransformerConfig({}), large);
  });

  it("builds in every compute type", () => {
    for (const dtype of ["float32", "float16", "bfloat16"] as const) assert.doesNotThrow(build({ dtype }));
  });

  it("refuses models that start from an image, by the option that says so", () => {
    refuses({ config: { image_dim: 1280 } }, /'image_dim'.*start from an image.*1280/);
    refuses({ config: { added_kv_proj_dim: 24 } }, /'added_kv_proj_dim'.*start from an image.*24/);
    refuses({ config: { pos_embed_seq_len: 514 } }, /'pos_embed_seq_len'.*start from an image.*514/);
  });

  it("refuses values that it could not honour", () => {
    refuses({ config: { patch_size: [2, 2, 2] } }, /'patch_size.0'.*2/);
    refuses({ config: { patch_size: [1, 2] } }, /'patch_size'/);
    refuses({ config: { qk_norm: "layer_norm" } }, /'qk_norm'.*"layer_norm"/);
    refuses({ config: { attention_head_dim: 4 } }, /'attention_head_dim' must have room.* 4$/);
    refuses({ config: { num_layers: 0 } }, /'num_layers'.*0/);
    refuses({ config: { guidance_embeds: true } }, /'guidance_embeds'/);
  });

  it("refuses tensors whose shape contradicts the config", () => {
    refuses({ config: { out_channels: 8 } }, /'proj_out.weight'.*\[32,24\].*\[64,24\]/);
    refuses({ config: { patch_size: [1, 1, 2] } }, /'patch_embedding.weight'.*\[24,16,1,1,2\]/);
    refuses({ config: { ffn_dim: 41 } }, /'blocks\.0\.ffn\.net\.0\.proj\.weight'/);
  });

  it("refuses a checkpoint that lacks a tensor, or has one too many", () => {
    refuses({ config: { num_layers: 3 } }, /'blocks\.2\./);
    refuses({ config: { cross_attn_norm: false } }, /'blocks\.\d\.norm2\.\w+'/);
    const lora = "blocks.0.attn1.to_q.lora_A.weight";
    refuses({ weights: new Map([...weights, [lora, weights.get("proj_out.weight")!]]) }, /to_q\.lora_A/);
  });
});

describe("wanRotaryTables()", () => {
  it("turns pairs by time, then row, then column, and leaves the first token as it is", () => {
    const { cos, sin } = wanRotaryTables({ frames: 2, rows: 3, columns: 2, headDim: 12 });
    assert.deepEqual([...cos.subarray(0, 6)], Array(6).fill(1));
    assert.deepEqual([...sin.subarray(0, 6)], Array(6).fill(0));
    // Frame 1, row 2, column 1 of 12 tokens: axes of 4, 4 and 4 channels.
    const angles = [1, 1 / 100, 2, 2 / 100, 1, 1 / 100];
    assert.deepEqual([...cos.subarray(66, 72)], angles.map((angle) => Math.fround(Math.cos(angle))));
    assert.deepEqual([...sin.subarray(66, 72)], angles.map((angle) => Math.fround(Math.sin(angle))));
  });
});

function trunkInputs(goldens: Goldens, call: string, json: unknown): FloatArrays {
  const names = ["hidden_states", "encoder_hidden_states", "timestep"];
  const inputs = Object.fromEntries(
    names.map((name) => [name, goldenArray(goldens, `transformer.${call}.${name}`)]),
  );
  const [, , frames, height, width] = inputs["hidden_states"]!.shape as [
    number,
    number,
    number,
    number,
    number,
  ];
  const { patchHeight, patchWidth, attentionHeadDim: headDim } = parseWanTransformerConfig(json);
  const [rows, columns] = [height / patchHeight, width / patchWidth];
  const { cos, sin } = wanRotaryTables({ frames, rows, columns, headDim });
  const shape = [frames * rows * columns, headDim / 2];
  return { ...inputs, rotary_cos: { shape, data: cos }, rotary_sin: { shape, data: sin } };
}

function scaled({ shape, data }: FloatArray, factor: number): FloatArray {
  return { shape, data: data.map((x) => x * factor) };
}
