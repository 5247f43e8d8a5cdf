// HunyuanVideo's denoiser (diffusers' HunyuanVideoTransformer3DModel) as graphs that share weights: trunk, head behind a
// forecast, and the modulation of its norm.
import { fluxSingleBlocks } from "../../graph/layers/attention/single_blocks.ts";
import type { DenoiserOptions } from "../../graph/denoiser_options.ts";
import { GraphBuilder, type OnnxModel } from "../../graph/graph_builder.ts";
import { hunyuanVideoConditioning } from "./hunyuan_video_conditioning.ts";
import {
  type HunyuanVideoTransformerConfig,
  parseHunyuanVideoTransformerConfig,
} from "./hunyuan_video_config.ts";
import { hunyuanVideoRefiner } from "./hunyuan_video_refiner.ts";
import { forecastOutput } from "../../graph/layers/head/forecast_output.ts";
import { gridFeatureOutput, gridForecast, type GridTokens } from "../../graph/layers/head/grid_tokens.ts";
import { JOINT_EPS, type JointContext } from "../../graph/layers/attention/joint_attention.ts";
import { countTokens, jointBlock } from "../../graph/layers/attention/joint_block.ts";
import type { LinearOptions } from "../../graph/layers/dense/linear.ts";
import { modulationOutputs } from "../../graph/layers/head/modulation_outputs.ts";
import { outputLayers } from "../../graph/layers/head/output_layers.ts";
import { rotary } from "../../graph/layers/attention/rotary.ts";
import {
  joinVideoPatches,
  type PatchShape,
  videoPatches,
} from "../../graph/layers/convolution/video_patches.ts";

/**
 * Inputs of trunk and modulation: timestep, 0..1000, [batch] in the trunk and [steps] in the modulation; pooled_projections
 * [batch, pooled]; guidance [batch] as the pipeline is given it, only where the config has guidance_embeds. Grid: patches in
 * time, down and across.
 */
export interface HunyuanVideoTransformerGraphs {
  /**
   * Further inputs: hidden_states [batch, in_channels, frames, height, width]; encoder_hidden_states
   * [batch, text_tokens, text_embed_dim] without padding, so of equal length; rotary_cos and rotary_sin [text_tokens +
   * patches, head_dim / 2] float32 (`hunyuanVideoRotaryTables`). Outputs: feature [batch, ...grid, inner], the video
   * tokens after the last block, and output, shaped as the latents.
   */
  trunk: OnnxModel;
  /**
   * rows = steps * batch, step-major. Inputs: forecast_weights [steps, anchors] float32, history
   * [anchors, batch, ...grid, inner], scale and shift from modulation, output_weights [outputs, rows] float32. Output:
   * output [outputs, out_channels, frames, height, width], sums over the rows.
   */
  head: OnnxModel;
  /** Outputs: scale [rows, 1, inner] and shift [rows, inner] of the last norm. */
  modulation: OnnxModel;
}

/**
 * Builds the graphs; channels come from the config, all other sizes are free.
 * @throws {CheckpointError} if the config asks for what is not supported, or the weights do not fit it.
 */
export function hunyuanVideoTransformerGraphs(
  options: DenoiserOptions,
): HunyuanVideoTransformerGraphs {
  const config = parseHunyuanVideoTransformerConfig(options.config);
  const { weights, dtype } = options;
  return {
    trunk: trunk(new GraphBuilder({ name: "transformer_trunk", weights, dtype }), config),
    head: head(new GraphBuilder({ name: "transformer_head", weights, dtype }), config),
    modulation: modulation(new GraphBuilder({ name: "transformer_modulation", weights, dtype }), config),
  };
}

const GRID = ["grid_frames", "grid_rows", "grid_columns"];

function trunk(graph: GraphBuilder, config: HunyuanVideoTransformerConfig): OnnxModel {
  const { inChannels, innerDim, textEmbedDim, attentionHeadDim, numAttentionHeads: heads } = config;
  const latents = graph.input(
    "hidden_states",
    ["batch", inChannels, "frames", "height", "width"],
    "float32",
  );
  const states = graph.cast(
    graph.input("encoder_hidden_states", ["batch", "text_tokens", textEmbedDim], "float32"),
  );
  const { conditioning, timestep } = hunyuanVideoConditioning(graph, { config });
  const cos = graph.input("rotary_cos", ["tokens", attentionHeadDim / 2], "float32");
  const sin = graph.input("rotary_sin", ["tokens", attentionHeadDim / 2], "float32");

  const { tokens, grid } = graph.scope("x_embedder", () =>
    videoPatches(graph, latents, {
      name: "x_embedder.proj",
      channels: inChannels,
      patch: patchOf(config),
      features: innerDim,
    }));
  const text = graph.scope(
    "context_embedder",
    () => hunyuanVideoRefiner(graph, states, { config, timestep }),
  );
  let streams = { image: tokens, text };
  const context: JointContext = {
    heads,
    headDim: attentionHeadDim,
    qkNorm: config.qkNorm,
    mlpFeatures: config.mlpFeatures,
    conditioning,
    rotate: (tokens) => rotary(graph, tokens, { cos, sin, heads }),
    tokenCounts: countTokens(graph, streams),
  };
  for (let i = 0; i < config.numLayers; i++) {
    const name = `transformer_blocks.${i}`;
    streams = graph.scope(name, () => jointBlock(graph, streams, { name, context }));
  }
  const video = fluxSingleBlocks(graph, streams, { count: config.numSingleLayers, context });
  gridFeatureOutput(graph, { tokens: video, grid }, { axes: GRID, features: innerDim });
  const output = outputLayers(graph, video, {
    conditioning,
    projection: projection(config),
    eps: JOINT_EPS,
  });
  emitLatents(graph, { tokens: output, grid }, { config, rows: "batch" });
  graph.refuseUnusedWeights();
  return graph.build();
}

function head(graph: GraphBuilder, config: HunyuanVideoTransformerConfig): OnnxModel {
  const { tokens: feature, grid } = gridForecast(graph, { axes: GRID, features: config.innerDim });
  const tokens = forecastOutput(graph, feature, { projection: projection(config), eps: JOINT_EPS });
  emitLatents(graph, { tokens, grid }, { config, rows: "outputs" });
  return graph.build();
}

function modulation(graph: GraphBuilder, config: HunyuanVideoTransformerConfig): OnnxModel {
  const { conditioning } = hunyuanVideoConditioning(graph, { config, everyStep: true });
  modulationOutputs(graph, conditioning, { name: "norm_out", features: config.innerDim });
  return graph.build();
}

function projection(
  { innerDim, outChannels, patchSize, patchSizeT }: HunyuanVideoTransformerConfig,
): LinearOptions {
  return { name: "proj_out", inFeatures: innerDim, outFeatures: patchSizeT * patchSize ** 2 * outChannels };
}

/** Declares the output: projected tokens, put together from patches. @param rows name of the leading dimension */
function emitLatents(
  graph: GraphBuilder,
  tokens: GridTokens,
  { config, rows }: { config: HunyuanVideoTransformerConfig; rows: string },
): void {
  const { outChannels: channels } = config;
  const output = joinVideoPatches(graph, tokens, { channels, patch: patchOf(config), channel: "first" });
  graph.output("output", output, [rows, channels, "frames", "height", "width"]);
}

function patchOf({ patchSize, patchSizeT }: HunyuanVideoTransformerConfig): PatchShape {
  return { time: patchSizeT, height: patchSize, width: patchSize };
}
