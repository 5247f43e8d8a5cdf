import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { unet2DConditionGraphs } from "../../../../gpu-worker/families/unet/unet.ts";
import type { Weights } from "../../../../gpu-worker/checkpoint/weights.ts";
import { type DType, Runtime, type Tensor } from "../../../../gpu-worker/runtime/mod.ts";
import { type Goldens, loadGoldens, maxError } from "../../../goldens/golden.ts";
import { component } from "../../graph/component.ts";
import {
  type FloatArray,
  type FloatArrays,
  goldenArray,
  matrix,
  row,
  run,
  stack,
} from "../../graph/float_array.ts";
import { runHead } from "../../graph/run_head.ts";
import { assertRefused, refusalCases, type RefusedOption } from "../../graph/refusal.ts";

/** Both sides compute in float32, but sum in another order, which thirty layers magnify to about 7e-6. */
const TOLERANCE = 5e-5;

const INPUTS = ["sample", "timestep", "encoder_hidden_states", "text_embeds", "time_ids"];

for (const name of ["tiny-sdxl", "tiny-sd15", "tiny-sd21"]) {
  describe(`unet2DConditionGraphs() of ${name}`, () => {
    const goldens = loadGoldens(`sdxl/${name}`);
    const { trunk, head } = unet2DConditionGraphs({ ...component(`sdxl/${name}/unet`), dtype: "float32" });
    const headOf = (weights: FloatArray, slots: FloatArray[], sums?: FloatArray) =>
      runHead({ head }, {
        forecast_weights: weights,
        history: stack(slots),
        ...sums && { output_weights: sums },
      });

    // The sizes of "odd" are not divisible by the UNet's downsampling.
    for (const call of ["start", "odd"]) {
      it(`trunk gives diffusers' feature and output, '${call}' inputs`, async () => {
        const { feature, output } = await run(trunk, inputsOf(goldens, call));
        assert.deepEqual(feature!.shape, goldens.shape(`unet.${call}.feature`));
        assert.deepEqual(output!.shape, goldens.shape(`unet.${call}.output`));
        assert(maxError(feature!.data, goldens.floats(`unet.${call}.feature`)) <= TOLERANCE);
        assert(maxError(output!.data, goldens.floats(`unet.${call}.output`)) <= TOLERANCE);
      });
    }

    it("trunk computes each row of a batch as it would alone", async () => {
      const inputs = inputsOf(goldens, "odd");
      const { output: together } = await run(trunk, inputs);
      for (const index of [0, 1]) {
        const alone = Object.entries(inputs).map(([key, array]) => [key, row(array, index)] as const);
        const { output } = await run(trunk, Object.fromEntries(alone));
        assert(maxError(output!.data, row(together!, index).data) <= TOLERANCE);
      }
    });

    it("head gives the trunk's output where the weights select one slot", async () => {
      const feature = goldenArray(goldens, "unet.odd.feature");
      const other = { ...feature, data: feature.data.map((x) => 3 - x) };
      const output = await headOf(matrix([0, 1]), [other, feature]);
      assert.deepEqual(output.shape, goldens.shape("unet.odd.output"));
      assert(maxError(output.data, goldens.floats("unet.odd.output")) <= TOLERANCE);
    });

    it("head forecasts several steps in one run, step-major, each branch from its own history", async () => {
      const feature = goldenArray(goldens, "unet.odd.feature");
      const slots = [feature, { ...feature, data: feature.data.map((x, i) => Math.sin(i) - x) }];
      const weights = [[0.25, 0.625], [-0.5, 1.5]];
      const both = await headOf({ shape: [2, 2], data: Float32Array.from(weights.flat()) }, slots);
      for (const [step, own] of weights.entries()) {
        for (const branch of [0, 1]) {
          const alone = await headOf(matrix(own), slots.map((slot) => row(slot, branch)));
          assert(maxError(row(both, step * 2 + branch).data, alone.data) <= TOLERANCE);
        }
      }
    });

    it("head gives the sums of its rows that it is asked for", async () => {
      const feature = goldenArray(goldens, "unet.odd.feature");
      const rows = await headOf(matrix([1]), [feature]);
      const sums = await headOf(matrix([1]), [feature], matrix([3, -2.5]));
      const [a, b] = [row(rows, 0).data, row(rows, 1).data];
      assert.deepEqual(sums.shape, [1, ...rows.shape.slice(1)]);
      assert(maxError(sums.data, a.map((x, i) => 3 * x - 2.5 * b[i]!)) <= TOLERANCE);
    });

    it("float16 graphs stay near float32", async () => {
      const half = unet2DConditionGraphs({ ...component(`sdxl/${name}/unet`), dtype: "float16" });
      using stack = new DisposableStack();
      const runtime = stack.use(Runtime.open());
      const session = stack.use(await runtime.createSession(half.trunk));
      const inputs = Object.entries({ ...inputsOf(goldens, "odd"), forecast_weights: matrix([0]) });
      const feeds: Record<string, Tensor> = Object.fromEntries(
        inputs.map(([key, { shape, data }]) => [key, stack.use(runtime.tensor("float32", shape, data))]),
      );
      feeds["history"] = stack.use(runtime.tensor("float16", [1, 1, 1, 1, 1], new Float16Array(1)));
      const outputs = await session.run(feeds, { fetch: ["feature", "output"] });
      for (const tensor of Object.values(outputs)) stack.use(tensor);
      assert.equal(outputs["feature"]!.dtype, "float16");
      // 11 bits of mantissa through thirty layers; measured 2e-3.
      const output = outputs["output"]!.as("float32").data();
      assert(maxError(output, goldens.floats("unet.odd.output")) <= 1e-2);
    });
  });
}

describe("unet2DConditionGraphs()", () => {
  const { config, weights } = component("sdxl/tiny-sdxl/unet");
  const build = (changes: { config?: object; weights?: Weights; dtype?: DType }) => () =>
    unet2DConditionGraphs({
      config: { ...config, ...changes.config },
      weights: changes.weights ?? weights,
      dtype: changes.dtype ?? "float32",
    });

  const REFUSED: RefusedOption[] = [
    ["qk_norm", "rms_norm", /no option 'qk_norm'/],
    ["down_block_types", ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D"], /'down_block_types.1'.*Attn/],
    ["mid_block_type", "UNetMidBlock2DSimpleCrossAttn", /'mid_block_type'/],
    ["up_block_types", ["UpBlock2D"], /'up_block_types' must have as many entries.*1 and 3/],
    ["num_attention_heads", 8, /'num_attention_heads'/],
    ["encoder_hid_dim", 8, /'encoder_hid_dim'/],
    ["class_embed_type", "timestep", /'class_embed_type'/],
    ["num_class_embeds", 10, /'num_class_embeds'/],
    ["time_cond_proj_dim", 256, /'time_cond_proj_dim'/],
    ["dual_cross_attention", true, /'dual_cross_attention'/],
    ["class_embeddings_concat", true, /'class_embeddings_concat'/],
    ["attention_type", "gated", /'attention_type'.*"gated"/],
    ["addition_embed_type", "image", /'addition_embed_type'.*"image"/],
    ["addition_time_embed_dim", 8, /must exceed 6 times 'addition_time_embed_dim'.*33 and 8/],
    ["time_embedding_type", "fourier", /'time_embedding_type'/],
    ["resnet_time_scale_shift", "spatial", /'resnet_time_scale_shift'/],
    ["conv_out_kernel", 2, /'conv_out_kernel'.*must be odd/],
    ["attention_head_dim", [1, 5, 3], /'block_out_channels' must be multiples of 'attention_head_dim' \(5\)/],
    ["norm_num_groups", 3, /'block_out_channels' must be multiples of 'norm_num_groups' \(3\)/],
    ["cross_attention_dim", [20, 20, 24], /'cross_attention_dim' must be one size.*20,20,24/],
    ["transformer_layers_per_block", [1, [1], 2], /takes 'reverse_transformer_layers_per_block'/],
    ["cross_attention_dim", 24, /'down_blocks.1.*attn2.to_k.weight' must have the shape \[12,24\]/],
    ["layers_per_block", 2, /no tensor '/],
    ["use_linear_projection", false, /'down_blocks.1.attentions.0.proj_in.weight' must have the shape/],
  ];
  refusalCases(REFUSED, (config) => build({ config })());

  it("refuses a checkpoint with tensors that the config leaves no place for", () => {
    const lora = "down_blocks.1.attentions.0.proj_in.lora_A.weight";
    assertRefused(
      build({ weights: new Map([...weights, [lora, weights.get("conv_out.weight")!]]) }),
      /lora_A/,
    );
    assertRefused(build({ config: { mid_block_type: null } }), /mid_block/);
    assertRefused(build({ config: { addition_embed_type: null } }), /add_embedding/);
  });

  it("ignores options that no known block reads", () => {
    const { bytes } = build({})().trunk;
    const changed = build({
      config: { dropout: 0.5, resnet_skip_time_act: true, cross_attention_norm: "group_norm" },
    });
    assert.deepEqual(changed().trunk.bytes, bytes);
  });
});

function inputsOf(goldens: Goldens, call: string): FloatArrays {
  const names = INPUTS.filter((name) => goldens.has(`unet.${call}.${name}`));
  return Object.fromEntries(names.map((name) => [name, goldenArray(goldens, `unet.${call}.${name}`)]));
}
