// Stable Diffusion 3's denoiser (diffusers' SD3Transformer2DModel) as graphs that share weights: trunk, head
// behind a forecast, and the modulation of its norm.
import { sd3Conditioning } from "./sd3_conditioning.ts";
import { sd3Positions } from "./sd3_positions.ts";
import type { DenoiserOptions } from "../../graph/denoiser_options.ts";
import { GraphBuilder, type OnnxModel, type Value } from "../../graph/graph_builder.ts";
import { forecastOutput } from "../../graph/layers/head/forecast_output.ts";
import { gridFeatureOutput, gridForecast, type GridTokens } from "../../graph/layers/head/grid_tokens.ts";
import { JOINT_EPS, type JointContext } from "../../graph/layers/attention/joint_attention.ts";
import { countTokens, jointBlock } from "../../graph/layers/attention/joint_block.ts";
import { linear, type LinearOptions } from "../../graph/layers/dense/linear.ts";
import { modulationOutputs } from "../../graph/layers/head/modulation_outputs.ts";
import { outputLayers } from "../../graph/layers/head/output_layers.ts";
import { patchTokens, unpatchify } from "../../graph/layers/convolution/patch_tokens.ts";
import { parseSd3TransformerConfig, type Sd3TransformerConfig } from "./sd3_config.ts";

/** Inputs of trunk and modulation: timestep [batch], 0..1000; pooled_projections [batch, pooled]. */
export interface Sd3TransformerGraphs {
  /**
   * Further inputs: hidden_states [batch, in_channels, height, width], encoder_hidden_states
   * [batch, text_tokens, joint], layer_mask [batch, num_layers]: 1 runs a block, 0 skips it in that row (skip-layer
   * guidance). Outputs: feature [batch, grid_rows, grid_columns, inner], the image tokens after the last block, and
   * output [batch, out_channels, height, width].
   */
  trunk: OnnxModel;
  /**
   * rows = steps * batch, step-major. Inputs: forecast_weights [steps, anchors] float32, history
   * [anchors, batch, grid_rows, grid_columns, inner], scale and shift from modulation, output_weights [outputs, rows] float32.
   * Output: output [outputs, out_channels, height, width], sums over the rows.
   */
  head: OnnxModel;
  /** Here timestep is [steps]. Outputs: scale [rows, 1, inner] and shift [rows, inner] of the last norm. */
  modulation: OnnxModel;
}

/**
 * Builds the graphs; sizes come from the config, the numbers of tokens and pictures are free. Height and width must be
 * multiples of patch_size, at most patch_size * pos_embed_max_size.
 * @throws {CheckpointError} if the config asks for what is not supported, or the weights do not fit it.
 */
export function sd3TransformerGraphs(options: DenoiserOptions): Sd3TransformerGraphs {
  const config = parseSd3TransformerConfig(options.config);
  const { weights, dtype } = options;
  return {
    trunk: trunk(new GraphBuilder({ name: "transformer_trunk", weights, dtype }), config),
    head: head(new GraphBuilder({ name: "transformer_head", weights, dtype }), config),
    modulation: modulation(new GraphBuilder({ name: "transformer_modulation", weights, dtype }), config),
  };
}

const GRID = ["grid_rows", "grid_columns"];

function trunk(graph: GraphBuilder, config: Sd3TransformerConfig): OnnxModel {
  const { inChannels, innerDim, jointAttentionDim, numLayers } = config;
  const latents = graph.input("hidden_states", ["batch", inChannels, "height", "width"], "float32");
  const text = graph.cast(
    graph.input("encoder_hidden_states", ["batch", "text_tokens", jointAttentionDim], "float32"),
  );
  const layerMask = graph.cast(graph.input("layer_mask", ["batch", numLayers], "float32"));
  const conditioning = sd3Conditioning(graph, { config });

  const { tokens, grid } = graph.scope("pos_embed", () => embedLatents(graph, latents, config));
  let streams = {
    image: tokens,
    text: linear(graph, text, {
      name: "context_embedder",
      inFeatures: jointAttentionDim,
      outFeatures: innerDim,
    }),
  };
  const context: JointContext = {
    heads: config.numAttentionHeads,
    headDim: config.attentionHeadDim,
    qkNorm: config.qkNorm,
    conditioning,
    tokenCounts: countTokens(graph, streams),
  };
  const keep = graph.nodes("Split", [graph.node("Unsqueeze", [layerMask, graph.ints(2)])], {
    attributes: { axis: 1, num_outputs: numLayers },
    outputs: numLayers,
  });
  for (let i = 0; i < numLayers; i++) {
    const name = `transformer_blocks.${i}`;
    const options = {
      name,
      context,
      contextPreOnly: i === numLayers - 1,
      dualAttention: config.dualAttentionLayers.has(i),
      keep: keep[i],
    };
    streams = graph.scope(name, () => jointBlock(graph, streams, options));
  }

  gridFeatureOutput(graph, { tokens: streams.image, grid }, { axes: GRID, features: innerDim });
  const output = outputLayers(graph, streams.image, {
    conditioning,
    projection: projection(config),
    eps: JOINT_EPS,
  });
  emitLatents(graph, { tokens: output, grid }, { config, rows: "batch" });
  graph.refuseUnusedWeights();
  return graph.build();
}

function head(graph: GraphBuilder, config: Sd3TransformerConfig): OnnxModel {
  const { tokens: feature, grid } = gridForecast(graph, { axes: GRID, features: config.innerDim });
  const tokens = forecastOutput(graph, feature, { projection: projection(config), eps: JOINT_EPS });
  emitLatents(graph, { tokens, grid }, { config, rows: "outputs" });
  return graph.build();
}

function modulation(graph: GraphBuilder, config: Sd3TransformerConfig): OnnxModel {
  const conditioning = sd3Conditioning(graph, { config, everyStep: true });
  modulationOutputs(graph, conditioning, { name: "norm_out", features: config.innerDim });
  return graph.build();
}

/** Patches as tokens at their positions. */
function embedLatents(graph: GraphBuilder, latents: Value, config: Sd3TransformerConfig) {
  const { tokens, grid } = patchTokens(graph, latents, {
    name: "pos_embed.proj",
    channels: config.inChannels,
    patchSize: config.patchSize,
    features: config.innerDim,
  });
  return { tokens: graph.node("Add", [tokens, sd3Positions(graph, { config, grid })]), grid };
}

function projection({ innerDim, outChannels, patchSize }: Sd3TransformerConfig): LinearOptions {
  return { name: "proj_out", inFeatures: innerDim, outFeatures: patchSize ** 2 * outChannels };
}

/** Declares the output: projected tokens, put together from patches. @param rows name of the leading dimension */
function emitLatents(
  graph: GraphBuilder,
  tokens: GridTokens,
  { config, rows }: { config: Sd3TransformerConfig; rows: string },
): void {
  const { outChannels: channels, patchSize } = config;
  const output = unpatchify(graph, tokens, { patchSize, channels });
  graph.output("output", output, [rows, channels, "height", "width"]);
}
