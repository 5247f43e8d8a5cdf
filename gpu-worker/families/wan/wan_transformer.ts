// Wan's denoiser (diffusers' WanTransformer3DModel) as graphs that share weights: trunk, head behind a forecast,
// and the modulation of its norm.
import { wanBlock } from "./wan_block.ts";
import { tableModulation, wanConditioning, wanTimeProjection } from "./wan_conditioning.ts";
import type { DenoiserOptions } from "../../graph/denoiser_options.ts";
import { GraphBuilder, type OnnxModel, type Value } from "../../graph/graph_builder.ts";
import { embeddingMlp } from "../../graph/layers/dense/embedding_mlp.ts";
import { modulatedLayerNorm } from "../../graph/layers/norm/float32_layer_norm.ts";
import { forecastOutput } from "../../graph/layers/head/forecast_output.ts";
import { gridFeatureOutput, gridForecast, type GridTokens } from "../../graph/layers/head/grid_tokens.ts";
import { linear, type LinearOptions } from "../../graph/layers/dense/linear.ts";
import { rotary } from "../../graph/layers/attention/rotary.ts";
import {
  joinVideoPatches,
  type PatchShape,
  videoPatches,
} from "../../graph/layers/convolution/video_patches.ts";
import { parseWanTransformerConfig, type WanTransformerConfig } from "./wan_config.ts";

export interface WanTransformerGraphs {
  /**
   * Inputs: timestep [batch], 0..1000; hidden_states [batch, in_channels, frames, height, width], encoder_hidden_states
   * [batch, text_tokens, text_dim], rotary_cos and rotary_sin [tokens, head_dim / 2] (`wanRotaryTables`). Outputs: feature
   * [batch, frames, grid_rows, grid_columns, inner], the tokens after the last block, and output
   * [batch, out_channels, frames, height, width].
   */
  trunk: OnnxModel;
  /**
   * rows = steps * batch, step-major. Inputs: forecast_weights [steps, anchors] float32, history
   * [anchors, batch, frames, grid_rows, grid_columns, inner], scale and shift from modulation, output_weights [outputs, rows]
   * float32. Output: output [outputs, out_channels, frames, height, width], sums over the rows.
   */
  head: OnnxModel;
  /**
   * Inputs: timestep [steps]; branches [batch], whatever its values. Outputs: scale [rows, 1, inner] (1 added) and shift
   * [rows, inner] of the last norm.
   */
  modulation: OnnxModel;
}

/**
 * Builds the graphs; sizes come from the config, the numbers of tokens and videos are free. Height and width must be
 * multiples of the patch.
 * @throws {CheckpointError} if the config asks for what is not supported, or the weights do not fit it.
 */
export function wanTransformerGraphs(options: DenoiserOptions): WanTransformerGraphs {
  const config = parseWanTransformerConfig(options.config);
  const { weights, dtype } = options;
  return {
    trunk: trunk(new GraphBuilder({ name: "transformer_trunk", weights, dtype }), config),
    head: head(new GraphBuilder({ name: "transformer_head", weights, dtype }), config),
    modulation: modulation(new GraphBuilder({ name: "transformer_modulation", weights, dtype }), config),
  };
}

const GRID = ["frames", "grid_rows", "grid_columns"];

function trunk(graph: GraphBuilder, config: WanTransformerConfig): OnnxModel {
  const { inChannels, innerDim, textDim, attentionHeadDim, numAttentionHeads: heads } = config;
  const latents = graph.input("hidden_states", ["batch", inChannels, "frames", "height", "width"], "float32");
  const text = graph.cast(
    graph.input("encoder_hidden_states", ["batch", "text_tokens", textDim], "float32"),
  );
  const cos = graph.input("rotary_cos", ["tokens", attentionHeadDim / 2], "float32");
  const sin = graph.input("rotary_sin", ["tokens", attentionHeadDim / 2], "float32");
  const conditioning = wanConditioning(graph, { config });
  const time = graph.scope("time_proj", () => wanTimeProjection(graph, conditioning, config));
  const textStates = graph.scope("text_embedder", () =>
    embeddingMlp(graph, text, {
      name: "condition_embedder.text_embedder",
      inFeatures: textDim,
      features: innerDim,
      act: "gelu_pytorch_tanh",
    }));

  const { tokens, grid } = graph.scope("patch_embedding", () =>
    videoPatches(graph, latents, {
      name: "patch_embedding",
      channels: inChannels,
      patch: patchOf(config),
      features: innerDim,
    }));
  let stream = tokens;
  for (let i = 0; i < config.numLayers; i++) {
    const name = `blocks.${i}`;
    const rotate = (tokens: Value) => rotary(graph, tokens, { cos, sin, heads });
    stream = graph.scope(
      name,
      () => wanBlock(graph, stream, { name, config, text: textStates, time, rotate }),
    );
  }

  gridFeatureOutput(graph, { tokens: stream, grid }, { axes: GRID, features: innerDim });
  const [shift, scale] = lastModulation(graph, conditioning, config);
  const { eps } = config;
  const normed = modulatedLayerNorm(graph, stream, { scale, shift, features: innerDim, eps });
  emitLatents(graph, { tokens: linear(graph, normed, projection(config)), grid }, { config, rows: "batch" });
  graph.refuseUnusedWeights();
  return graph.build();
}

function head(graph: GraphBuilder, config: WanTransformerConfig): OnnxModel {
  const { tokens: feature, grid } = gridForecast(graph, { axes: GRID, features: config.innerDim });
  const tokens = forecastOutput(graph, feature, { projection: projection(config), eps: config.eps });
  emitLatents(graph, { tokens, grid }, { config, rows: "outputs" });
  return graph.build();
}

function modulation(graph: GraphBuilder, config: WanTransformerConfig): OnnxModel {
  const { innerDim } = config;
  const [shift, scale] = lastModulation(graph, wanConditioning(graph, { config, everyStep: true }), config);
  const factor = graph.node("Add", [scale, graph.scalar(1, "float32")]);
  graph.output("scale", graph.cast(factor), ["rows", 1, innerDim]);
  graph.output("shift", graph.cast(graph.node("Reshape", [shift, graph.ints(0, innerDim)])), [
    "rows",
    innerDim,
  ]);
  return graph.build();
}

/** Shift and scale of norm_out, [rows, 1, inner] float32. */
function lastModulation(
  graph: GraphBuilder,
  conditioning: Value,
  { innerDim: features }: WanTransformerConfig,
): [shift: Value, scale: Value] {
  const time = graph.node("Unsqueeze", [graph.cast(conditioning, "float32"), graph.ints(1)]);
  const table = { name: "scale_shift_table", parts: 2, features };
  return tableModulation(graph, time, table) as [Value, Value];
}

function projection({ innerDim, outChannels, patchHeight, patchWidth }: WanTransformerConfig): LinearOptions {
  return { name: "proj_out", inFeatures: innerDim, outFeatures: patchHeight * patchWidth * outChannels };
}

/** Declares the output: projected tokens, put together from patches. @param rows name of the leading dimension */
function emitLatents(
  graph: GraphBuilder,
  tokens: GridTokens,
  { config, rows }: { config: WanTransformerConfig; rows: string },
): void {
  const { outChannels: channels } = config;
  const output = joinVideoPatches(graph, tokens, { channels, patch: patchOf(config), channel: "last" });
  graph.output("output", output, [rows, channels, "frames", "height", "width"]);
}

/** Every frame of latents has patches of its own. */
function patchOf({ patchHeight: height, patchWidth: width }: WanTransformerConfig): PatchShape {
  return { time: 1, height, width };
}
