// Wan's denoiser (diffusers' WanTransformer3DModel) as two graphs that share weights: trunk, and head behind a forecast.
import type { DType } from "../runtime/dtype.ts";
import { wanBlock } from "./_wan_block.ts";
import { tableModulation, wanConditioning, wanTimeProjection } from "./_wan_conditioning.ts";
import { GraphBuilder, type OnnxModel, type Value } from "./graph_builder.ts";
import { clipFromPatches, clipPatches } from "./layers/clip_patches.ts";
import { embeddingMlp } from "./layers/embedding_mlp.ts";
import { featureOutput } from "./layers/feature_output.ts";
import { modulatedLayerNorm } from "./layers/float32_layer_norm.ts";
import { forecast } from "./layers/forecast.ts";
import { linear } from "./layers/linear.ts";
import { rotary } from "./layers/rotary.ts";
import { parseWanTransformerConfig, type WanTransformerConfig } from "./wan_config.ts";
import type { Weights } from "./weights/weights.ts";

export interface WanTransformerOptions {
  /** transformer/config.json, parsed. */
  config: unknown;
  weights: Weights;
  /** Compute type, also that of feature and history. What the host fills and reads is float32. */
  dtype: DType;
}

/** Input of both graphs: timestep [rows], 0..1000. */
export interface WanTransformerGraphs {
  /**
   * rows = batch. Further inputs: hidden_states [batch, in_channels, frames, height, width], encoder_hidden_states
   * [batch, text_tokens, text_dim], rotary_cos and rotary_sin [tokens, head_dim / 2] (`wanRotaryTables`). Outputs: feature
   * [batch, frames, grid_rows, grid_columns, inner], the tokens after the last block, and output
   * [batch, out_channels, frames, height, width].
   */
  trunk: OnnxModel;
  /**
   * rows = steps * batch, step-major. Further inputs: forecast_weights [steps, anchors] float32, history
   * [anchors, batch, frames, grid_rows, grid_columns, inner]. Output: output [rows, out_channels, frames, height, width].
   */
  head: OnnxModel;
}

/**
 * Builds both graphs; sizes come from the config, the numbers of tokens and clips are free. Height and width must be
 * multiples of the patch.
 * @throws {CheckpointError} if the config asks for what is not supported, or the weights do not fit it.
 */
export function wanTransformerGraphs(options: WanTransformerOptions): WanTransformerGraphs {
  const config = parseWanTransformerConfig(options.config);
  const { weights, dtype } = options;
  return {
    trunk: trunk(new GraphBuilder({ name: "transformer_trunk", weights, dtype }), config),
    head: head(new GraphBuilder({ name: "transformer_head", weights, dtype }), config),
  };
}

function trunk(graph: GraphBuilder, config: WanTransformerConfig): OnnxModel {
  const { inChannels, innerDim, textDim, attentionHeadDim, numAttentionHeads: heads } = config;
  const latents = graph.input("hidden_states", ["batch", inChannels, "frames", "height", "width"], "float32");
  const text = graph.cast(
    graph.input("encoder_hidden_states", ["batch", "text_tokens", textDim], "float32"),
  );
  const cos = graph.input("rotary_cos", ["tokens", attentionHeadDim / 2], "float32");
  const sin = graph.input("rotary_sin", ["tokens", attentionHeadDim / 2], "float32");
  const conditioning = wanConditioning(graph, { config, rows: "batch" });
  const time = graph.scope("time_proj", () => wanTimeProjection(graph, conditioning, config));
  const textStates = graph.scope("text_embedder", () =>
    embeddingMlp(graph, text, {
      name: "condition_embedder.text_embedder",
      inFeatures: textDim,
      features: innerDim,
      act: "gelu_pytorch_tanh",
    }));

  const { tokens, grid } = graph.scope("patch_embedding", () =>
    clipPatches(graph, latents, {
      name: "patch_embedding",
      channels: inChannels,
      features: innerDim,
      ...config,
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

  const shape = graph.node("Concat", [graph.ints(0), grid, graph.ints(innerDim)], {
    attributes: { axis: 0 },
  });
  const feature = graph.node("Reshape", [stream, shape]);
  featureOutput(graph, feature, ["frames", "grid_rows", "grid_columns", innerDim]);
  emitOutput(graph, feature, { config, conditioning, rows: "batch" });
  graph.refuseUnusedWeights();
  return graph.build();
}

function head(graph: GraphBuilder, config: WanTransformerConfig): OnnxModel {
  const weights = graph.input("forecast_weights", ["steps", "anchors"], "float32");
  const history = graph.input("history", [
    "anchors",
    "batch",
    "frames",
    "grid_rows",
    "grid_columns",
    config.innerDim,
  ]);
  const conditioning = wanConditioning(graph, { config, rows: "rows" });
  const feature = graph.scope("forecast", () => forecast(graph, { weights, history }));
  emitOutput(graph, feature, { config, conditioning, rows: "rows" });
  return graph.build();
}

interface OutputOptions {
  config: WanTransformerConfig;
  conditioning: Value;
  /** Name of the leading dimension. */
  rows: string;
}

/** norm_out, proj_out and unpatchify on a feature [rows, frames, grid_rows, grid_columns, inner]. */
function emitOutput(
  graph: GraphBuilder,
  feature: Value,
  { config, conditioning, rows }: OutputOptions,
): void {
  const { innerDim: features, outChannels: channels, patchHeight, patchWidth, eps } = config;
  const grid = graph.node("Shape", [feature], { attributes: { start: 1, end: 4 }, dtype: "int64" });
  const tokens = graph.node("Reshape", [feature, graph.ints(0, -1, features)]);
  const time = graph.node("Unsqueeze", [graph.cast(conditioning, "float32"), graph.ints(1)]);
  const [shift, scale] = tableModulation(graph, time, { name: "scale_shift_table", parts: 2, features }) as [
    Value,
    Value,
  ];
  const projected = linear(graph, modulatedLayerNorm(graph, tokens, { scale, shift, features, eps }), {
    name: "proj_out",
    inFeatures: features,
    outFeatures: patchHeight * patchWidth * channels,
  });
  const output = clipFromPatches(graph, { tokens: projected, grid }, { channels, patchHeight, patchWidth });
  graph.output("output", output, [rows, channels, "frames", "height", "width"]);
}
