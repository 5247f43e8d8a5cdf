// Wan's denoiser: diffusers' WanTransformer3DModel.
import { wanBlock } from "./wan_block.ts";
import { tableModulation, wanConditioning, wanTimeProjection } from "./wan_conditioning.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { conditionedLatents } from "../../graph/conditioned_latents.ts";
import type { DenoiserOptions } from "../../graph/denoiser_options.ts";
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import { rotary } from "../../graph/layers/attention/rotary.ts";
import {
  joinVideoPatches,
  type PatchShape,
  videoPatches,
} from "../../graph/layers/convolution/video_patches.ts";
import { embeddingMlp } from "../../graph/layers/dense/embedding_mlp.ts";
import { activation } from "../../graph/layers/dense/activation.ts";
import { linear } from "../../graph/layers/dense/linear.ts";
import { float32LayerNorm, modulatedLayerNorm } from "../../graph/layers/norm/float32_layer_norm.ts";
import {
  type LastNorm,
  type TransformerGraphs,
  transformerGraphs,
  type TransformerParts,
} from "../../graph/transformer_graphs.ts";
import { parseWanTransformerConfig, type WanTransformerConfig } from "./wan_config.ts";

export interface WanTransformerOptions extends DenoiserOptions {
  /** Whether each latent frame has a timestep of its own. @default false */
  frameTimesteps?: boolean;
}

/**
 * Builds the graphs. The output is [batch, out_channels, frames, height, width]. Inputs of the trunk:
 * timestep [batch], 0..1000, or [batch, frames] with `frameTimesteps`; hidden_states [batch, out_channels,
 * frames, height, width], multiples of the patch; encoder_hidden_states [batch, text_tokens, text_dim];
 * rotary_cos and rotary_sin [tokens, head_dim / 2] (`wanRotaryTables`). Networks that start from frames also
 * have condition [batch, in_channels - out_channels, frames, height, width] and, with `image_dim`,
 * encoder_hidden_states_image [batch, image_tokens, image_dim]. Inputs of the modulation: timestep [steps];
 * branches [batch], whose values are ignored.
 * @throws {CheckpointError} if the config asks for something unsupported, or if
 * the weights do not fit the config.
 */
export function wanTransformerGraphs(options: WanTransformerOptions): TransformerGraphs {
  const { frameTimesteps = false } = options;
  const parsed = parseWanTransformerConfig(options.config, `${options.name ?? "transformer"}/config.json`);
  const config = { ...parsed, frameTimesteps };
  const { innerDim, outChannels: channels, patchHeight, patchWidth, eps } = config;
  return transformerGraphs({ ...options, weights: withoutUnused(options.weights) }, {
    axes: ["frames", "grid_rows", "grid_columns"],
    conditioning: (graph, { everyStep }) => wanConditioning(graph, { config, everyStep }),
    blocks: (graph) => blocks(graph, config),
    norm: lastNorm(config),
    eps,
    projection: { name: "proj_out", inFeatures: innerDim, outFeatures: patchHeight * patchWidth * channels },
    emitLatents(graph, { tokens, grid }, rows) {
      const patches = { channels, patch: patchOf(config), channel: "last" } as const;
      const output = joinVideoPatches(graph, { tokens, grid: grid! }, patches);
      graph.output("output", output, [rows, channels, "frames", "height", "width"]);
    },
  });
}

/** Leaves out norms that some published files have and diffusers ignores too. */
function withoutUnused(weights: Weights): Weights {
  return new Map([...weights].filter(([name]) => !name.endsWith(".attn2.norm_added_q.weight")));
}

/** norm_out, with a table instead of a linear layer, in float32. */
function lastNorm(config: WanTransformerConfig): LastNorm {
  const { innerDim: features, eps } = config;
  return {
    apply(graph, tokens, conditioning) {
      const [shift, scale] = lastModulation(graph, conditioning, config);
      return modulatedLayerNorm(graph, tokens, { scale, shift, features, eps });
    },
    emitModulation(graph, conditioning) {
      const [shift, scale] = lastModulation(graph, conditioning, config);
      const factor = graph.node("Add", [scale, graph.scalar(1, "float32")]);
      graph.output("scale", graph.cast(factor), ["rows", 1, features]);
      const flat = graph.node("Reshape", [shift, graph.ints(0, features)]);
      graph.output("shift", graph.cast(flat), ["rows", features]);
    },
  };
}

function blocks(graph: GraphBuilder, config: WanTransformerConfig): ReturnType<TransformerParts["blocks"]> {
  const { inChannels, innerDim, textDim, attentionHeadDim, numAttentionHeads: heads } = config;
  const { own, all: latents } = conditionedLatents(graph, config);
  const text = graph.cast(
    graph.input("encoder_hidden_states", ["batch", "text_tokens", textDim], "float32"),
  );
  const cos = graph.input("rotary_cos", ["tokens", attentionHeadDim / 2], "float32");
  const sin = graph.input("rotary_sin", ["tokens", attentionHeadDim / 2], "float32");
  const frames = config.frameTimesteps
    ? graph.node("Shape", [own], { attributes: { start: 2, end: 3 }, dtype: "int64" })
    : undefined;
  const conditioning = wanConditioning(graph, { config, frames });
  const time = graph.scope("time_proj", () => wanTimeProjection(graph, conditioning, { config, frames }));
  const image = config.imageDim === undefined
    ? undefined
    : graph.scope("image_embedder", () => imageTokens(graph, config, config.imageDim!));
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
      () => wanBlock(graph, stream, { name, config, text: textStates, image, time, frames, rotate }),
    );
  }
  return {
    tokens: stream,
    grid,
    conditioning: frames ? lastFrame(graph, conditioning, innerDim) : conditioning,
  };
}

/**
 * Emits the conditioning of the last frame, [batch, innerDim]. A given frame comes first and needs no output,
 * so the last norm takes the timestep of all others.
 */
function lastFrame(graph: GraphBuilder, conditioning: Value, innerDim: number): Value {
  const last = graph.node("Gather", [conditioning, graph.scalar(-1, "int64")], { attributes: { axis: 1 } });
  return graph.node("Reshape", [last, graph.ints(-1, innerDim)]);
}

/**
 * Emits WanImageEmbedding: a vision encoder's states in the blocks' width, [batch, image_tokens, innerDim].
 */
function imageTokens(
  graph: GraphBuilder,
  { innerDim, imagePositions }: WanTransformerConfig,
  imageDim: number,
): Value {
  const name = "condition_embedder.image_embedder";
  // torch's default epsilon.
  const norm = { eps: 1e-5 };
  const given = graph.input("encoder_hidden_states_image", ["batch", "image_tokens", imageDim], "float32");
  const states = imagePositions === undefined ? graph.cast(given) : graph.node("Add", [
    graph.cast(given),
    graph.weight(`${name}.pos_embed`, [1, imagePositions, imageDim]),
  ]);
  const normed = float32LayerNorm(graph, states, { name: `${name}.norm1`, features: imageDim, ...norm });
  const wide = linear(graph, normed, {
    name: `${name}.ff.net.0.proj`,
    inFeatures: imageDim,
    outFeatures: imageDim,
  });
  const tokens = linear(graph, activation(graph, wide, "gelu"), {
    name: `${name}.ff.net.2`,
    inFeatures: imageDim,
    outFeatures: innerDim,
  });
  return float32LayerNorm(graph, tokens, { name: `${name}.norm2`, features: innerDim, ...norm });
}

/** Emits shift and scale of norm_out, [rows, 1, inner] float32. */
function lastModulation(
  graph: GraphBuilder,
  conditioning: Value,
  { innerDim: features }: WanTransformerConfig,
): [shift: Value, scale: Value] {
  const time = graph.node("Unsqueeze", [graph.cast(conditioning, "float32"), graph.ints(1)]);
  const table = { name: "scale_shift_table", parts: 2, features };
  return tableModulation(graph, time, table) as [Value, Value];
}

/** Returns the patch's shape. A patch spans one latent frame. */
function patchOf({ patchHeight: height, patchWidth: width }: WanTransformerConfig): PatchShape {
  return { time: 1, height, width };
}
