// The denoiser of Stable Diffusion and SDXL (diffusers' UNet2DConditionModel) as two graphs that share
// weights: the trunk, and the head with a forecast in front.
import type { DenoiserOptions } from "../../graph/denoiser_options.ts";
import { type Dim, GraphBuilder, type OnnxModel, type Value } from "../../graph/graph_builder.ts";
import { activation } from "../../graph/layers/dense/activation.ts";
import { conv2d, type Conv2dOptions } from "../../graph/layers/convolution/conv2d.ts";
import { featureOutput } from "../../graph/layers/head/feature_output.ts";
import { forecastInputs } from "../../graph/layers/head/forecast.ts";
import { groupNorm } from "../../graph/layers/norm/group_norm.ts";
import { summedBias } from "../../graph/layers/head/summed_linear.ts";
import { upsample2d } from "../../graph/layers/convolution/upsample2d.ts";
import { weightedSum } from "../../graph/layers/head/weighted_sum.ts";
import type { ProviderName } from "../../runtime/provider.ts";
import { residualInput, residualNames } from "./residual_inputs.ts";
import { unetBlock } from "./unet_block.ts";
import type { FeatureMap, UNetContext } from "./unet_context.ts";
import { unetDown, unetMid } from "./unet_down.ts";
import { unetTime } from "./unet_time.ts";
import { unetConvolutions } from "./unet_convolutions.ts";
import { parseUNet2DConditionConfig, type UNet2DConditionConfig } from "./unet_config.ts";

export interface UNet2DConditionGraphs {
  /**
   * Inputs: sample [batch, out_channels, height, width], scaled by the solver; masked [batch, in_channels -
   * out_channels, height, width] of inpainting UNets; timestep [batch], 0..1000,
   * possibly fractional; encoder_hidden_states [batch, text_tokens, cross_attention_dim]. SDXL's added
   * conditioning has text_embeds [batch, pooled] and time_ids [batch, 6]. Under `controlled`: the residuals
   * of `residualNames`, [batch, channels, h, w] in the compute type, or [1, 1, 1, 1].
   * Outputs: feature [batch, channels, height, width], the output of the last up block; output [batch,
   * out_channels, height, width].
   */
  trunk: OnnxModel;
  /**
   * Inputs: forecast_weights [steps, anchors] float32; history [anchors, batch, channels, height, width];
   * output_weights [outputs, rows] float32, where rows = steps * batch, step-major.
   * Output: output [outputs, out_channels, height, width], sums over the rows. Nothing after the last up
   * block depends on the timestep.
   */
  head: OnnxModel;
}

export interface UNetGraphsOptions extends DenoiserOptions {
  /** Whether the trunk has inputs for a ControlNet's residuals, residual_0 and so on. @default false */
  controlled?: boolean;
  /** The device that the graphs are for. @default any */
  provider?: ProviderName | undefined;
}

/**
 * Builds both graphs. The config sets all sizes except those of pictures and texts.
 * @throws {CheckpointError} if the config asks for something unsupported, or if
 * the weights do not fit the config.
 */
export function unet2DConditionGraphs(options: UNetGraphsOptions): UNet2DConditionGraphs {
  const config = parseUNet2DConditionConfig(options.config);
  const { weights, dtype } = options;
  return {
    trunk: trunk(new GraphBuilder({ name: "unet_trunk", weights, dtype }), config, options),
    head: head(new GraphBuilder({ name: "unet_head", weights, dtype }), config),
  };
}

function trunk(
  graph: GraphBuilder,
  config: UNet2DConditionConfig,
  { weights, provider, controlled = false }: UNetGraphsOptions,
): OnnxModel {
  const { inChannels, crossAttentionDim, channels, convInKernel: kernelSize } = config;
  const latents = graph.input("sample", picture("batch", config.outChannels), "float32");
  const extra = inChannels - config.outChannels;
  const input = graph.cast(
    extra === 0
      ? latents
      : graph.node("Concat", [latents, graph.input("masked", picture("batch", extra), "float32")], {
        attributes: { axis: 1 },
      }),
  );
  const text = graph.input("encoder_hidden_states", ["batch", "text_tokens", crossAttentionDim], "float32");
  const time = graph.scope("time", () => unetTime(graph, config));
  const convolve = unetConvolutions(graph, { weights, provider });
  const context = { config, time, text: graph.cast(text), convolve };

  const sample = config.centerInputSample
    ? graph.node("Sub", [graph.node("Mul", [input, graph.scalar(2)]), graph.scalar(1)])
    : input;
  const first = conv2d(graph, sample, { name: "conv_in", inChannels, outChannels: channels, kernelSize });
  const maps = unetDown(graph, { value: first, channels }, context);
  const middle = unetMid(graph, maps.at(-1)!, context);
  // Only the way up sees the residuals: those of the way down are added to the skips, and the last to the
  // middle.
  const [names, added] = [
    residualNames(maps.length),
    (map: FeatureMap, name: string): FeatureMap =>
      controlled ? { ...map, value: residualInput(graph, map.value, name) } : map,
  ];
  const skips = maps.map((map, i) => added(map, names[i]!));
  const { value: feature } = up(graph, added(middle, names.at(-1)!), { skips, context });
  featureOutput(graph, feature, [channels, "height", "width"]);
  const output = conv2d(graph, activatedOutput(graph, feature, config), lastConvolution(config));
  graph.output("output", graph.cast(output, "float32"), picture("batch", config.outChannels));
  graph.refuseUnusedWeights();
  return graph.build();
}

function head(graph: GraphBuilder, config: UNet2DConditionConfig): OnnxModel {
  const { feature } = forecastInputs(graph, [config.channels, "height", "width"]);
  const rows = activatedOutput(graph, feature, config);
  // The convolution commutes with the sums, so it runs after them: there are fewer sums than rows.
  const sumWeights = graph.input("output_weights", ["outputs", "rows"], "float32");
  const convolution = lastConvolution(config);
  const sums = conv2d(graph, weightedSum(graph, { weights: sumWeights, rows }), {
    ...convolution,
    bias: false,
  });
  const bias = summedBias(graph, sumWeights, { name: convolution.name, outFeatures: config.outChannels });
  const output = graph.node("Add", [sums, graph.node("Unsqueeze", [bias, graph.ints(2, 3)])]);
  graph.output("output", graph.cast(output, "float32"), picture("outputs", config.outChannels));
  return graph.build();
}

/** Emits the up blocks, which consume `skips` from the end. */
function up(
  graph: GraphBuilder,
  input: FeatureMap,
  { skips, context }: { skips: readonly FeatureMap[]; context: UNetContext },
): FeatureMap {
  let current = input;
  let left = skips.length;
  for (const [i, block] of context.config.up.entries()) {
    const name = `up_blocks.${i}`;
    current = graph.scope(name, () => {
      const joined = skips.slice(left - block.resnets, left).reverse();
      left -= block.resnets;
      const map = unetBlock(graph, current, { name, block, context, skips: joined }).at(-1)!;
      if (left === 0) return map;
      // Doubles the size, except for odd sizes, whose half the way down has rounded up.
      const sizeOf = skips[left - 1]!.value;
      const { convolve } = context;
      const { value, channels } = map;
      return {
        value: upsample2d(graph, value, { name: `${name}.upsamplers.0.conv`, channels, sizeOf, convolve }),
        channels,
      };
    });
  }
  return current;
}

/** Emits conv_norm_out and its activation. The shape [rows, channels, h, w] stays. */
function activatedOutput(graph: GraphBuilder, feature: Value, config: UNet2DConditionConfig): Value {
  const { channels, normNumGroups: groups, normEps: eps } = config;
  return activation(
    graph,
    groupNorm(graph, feature, { name: "conv_norm_out", channels, groups, eps }),
    config.act,
  );
}

function lastConvolution(
  { channels, outChannels, convOutKernel: kernelSize }: UNet2DConditionConfig,
): Conv2dOptions {
  return { name: "conv_out", inChannels: channels, outChannels, kernelSize };
}

function picture(batch: string, channels: number): Dim[] {
  return [batch, channels, "height", "width"];
}
