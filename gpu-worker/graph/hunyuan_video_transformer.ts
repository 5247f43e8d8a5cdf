// HunyuanVideo's denoiser (diffusers' HunyuanVideoTransformer3DModel) as two graphs that share weights: trunk, and head
// behind a forecast.
import type { DType } from "../runtime/dtype.ts";
import { fluxSingleBlock } from "./_flux_single_block.ts";
import { GraphBuilder, type OnnxModel, type Value } from "./graph_builder.ts";
import { hunyuanVideoConditioning } from "./_hunyuan_video_conditioning.ts";
import {
  type HunyuanVideoTransformerConfig,
  parseHunyuanVideoTransformerConfig,
} from "./hunyuan_video_config.ts";
import { hunyuanVideoRefiner } from "./_hunyuan_video_refiner.ts";
import { continuousLayerNorm } from "./layers/continuous_layer_norm.ts";
import { featureOutput } from "./layers/feature_output.ts";
import { forecast } from "./layers/forecast.ts";
import { JOINT_EPS, type JointContext } from "./layers/joint_attention.ts";
import { jointBlock } from "./layers/joint_block.ts";
import { linear } from "./layers/linear.ts";
import { rotary } from "./layers/rotary.ts";
import { joinVideoPatches, videoPatches } from "./layers/video_patches.ts";
import type { Weights } from "./weights/weights.ts";

export interface HunyuanVideoTransformerOptions {
  /** transformer/config.json, parsed. */
  config: unknown;
  weights: Weights;
  /** Compute type, also that of feature and history. What the host fills and reads is float32. */
  dtype: DType;
}

/**
 * Inputs of both graphs: timestep [rows], 0..1000; pooled_projections [rows, pooled]; guidance [rows] as the pipeline is
 * given it, only where the config has guidance_embeds. Grid: patches in time, down and across.
 */
export interface HunyuanVideoTransformerGraphs {
  /**
   * rows = batch. Further inputs: hidden_states [batch, in_channels, frames, height, width]; encoder_hidden_states
   * [batch, text_tokens, text_embed_dim] without padding, so of equal length; rotary_cos and rotary_sin [text_tokens +
   * patches, head_dim / 2] float32 (`hunyuanVideoRotaryTables`). Outputs: feature [batch, ...grid, inner], the video
   * tokens after the last block, and output, shaped as the latents.
   */
  trunk: OnnxModel;
  /**
   * rows = steps * batch, step-major. Further inputs: forecast_weights [steps, anchors] float32, history
   * [anchors, batch, ...grid, inner]. Output: output [rows, out_channels, frames, height, width].
   */
  head: OnnxModel;
}

/**
 * Builds both graphs; channels come from the config, all other sizes are free.
 * @throws {CheckpointError} if the config asks for what is not supported, or the weights do not fit it.
 */
export function hunyuanVideoTransformerGraphs(
  options: HunyuanVideoTransformerOptions,
): HunyuanVideoTransformerGraphs {
  const config = parseHunyuanVideoTransformerConfig(options.config);
  const { weights, dtype } = options;
  return {
    trunk: trunk(new GraphBuilder({ name: "transformer_trunk", weights, dtype }), config),
    head: head(new GraphBuilder({ name: "transformer_head", weights, dtype }), config),
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
  const { conditioning, timestep } = hunyuanVideoConditioning(graph, { config, rows: "batch" });
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
  const context: JointContext = {
    heads,
    headDim: attentionHeadDim,
    qkNorm: config.qkNorm,
    mlpFeatures: config.mlpFeatures,
    conditioning,
    rotate: (tokens) => rotary(graph, tokens, { cos, sin, heads }),
    tokenCounts: graph.node("Concat", [countTokens(graph, text), countTokens(graph, tokens)], {
      attributes: { axis: 0 },
    }),
  };
  let streams = { image: tokens, text };
  for (let i = 0; i < config.numLayers; i++) {
    const name = `transformer_blocks.${i}`;
    streams = graph.scope(name, () => jointBlock(graph, streams, { name, context }));
  }
  // diffusers has the text behind the video: attention does not see the difference.
  let joint = graph.node("Concat", [streams.text, streams.image], { attributes: { axis: 1 } });
  for (let i = 0; i < config.numSingleLayers; i++) {
    const name = `single_transformer_blocks.${i}`;
    joint = graph.scope(name, () => fluxSingleBlock(graph, joint, { name, context }));
  }
  const [, video] = graph.nodes("Split", [joint, context.tokenCounts], {
    attributes: { axis: 1 },
    outputs: 2,
  });
  const shape = graph.node("Concat", [graph.ints(0), grid, graph.ints(innerDim)], {
    attributes: { axis: 0 },
  });
  const feature = graph.node("Reshape", [video, shape]);
  featureOutput(graph, feature, [...GRID, innerDim]);
  emitOutput(graph, feature, { config, conditioning, rows: "batch" });
  graph.refuseUnusedWeights();
  return graph.build();
}

function head(graph: GraphBuilder, config: HunyuanVideoTransformerConfig): OnnxModel {
  const weights = graph.input("forecast_weights", ["steps", "anchors"], "float32");
  const history = graph.input("history", ["anchors", "batch", ...GRID, config.innerDim]);
  const { conditioning } = hunyuanVideoConditioning(graph, { config, rows: "rows" });
  const feature = graph.scope("forecast", () => forecast(graph, { weights, history }));
  emitOutput(graph, feature, { config, conditioning, rows: "rows" });
  return graph.build();
}

interface OutputOptions {
  config: HunyuanVideoTransformerConfig;
  conditioning: Value;
  /** Name of the leading dimension. */
  rows: string;
}

/** norm_out, proj_out and the patches' places on a feature [rows, ...grid, inner]. */
function emitOutput(
  graph: GraphBuilder,
  feature: Value,
  { config, conditioning, rows }: OutputOptions,
): void {
  const { innerDim: features, outChannels: channels, patchSize, patchSizeT } = config;
  const grid = graph.node("Shape", [feature], { attributes: { start: 1, end: 4 }, dtype: "int64" });
  const tokens = graph.node("Reshape", [feature, graph.ints(0, -1, features)]);
  const normed = continuousLayerNorm(graph, tokens, {
    name: "norm_out",
    conditioning,
    features,
    eps: JOINT_EPS,
  });
  const projected = linear(graph, normed, {
    name: "proj_out",
    inFeatures: features,
    outFeatures: patchSizeT * patchSize ** 2 * channels,
  });
  const output = joinVideoPatches(graph, { tokens: projected, grid }, { channels, patch: patchOf(config) });
  graph.output("output", output, [rows, channels, "frames", "height", "width"]);
}

function patchOf({ patchSize, patchSizeT }: HunyuanVideoTransformerConfig) {
  return { time: patchSizeT, side: patchSize };
}

function countTokens(graph: GraphBuilder, tokens: Value): Value {
  return graph.node("Shape", [tokens], { attributes: { start: 1, end: 2 }, dtype: "int64" });
}
