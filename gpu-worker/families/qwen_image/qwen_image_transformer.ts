// Qwen-Image's denoiser: diffusers' QwenImageTransformer2DModel.
import type { DenoiserOptions } from "../../graph/denoiser_options.ts";
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import {
  JOINT_EPS,
  type JointContext,
  type StreamLayers,
} from "../../graph/layers/attention/joint_attention.ts";
import { countTokens, jointBlock } from "../../graph/layers/attention/joint_block.ts";
import { pictureTokenCount, pictureTokens } from "../../graph/layers/attention/picture_tokens.ts";
import { rotary } from "../../graph/layers/attention/rotary.ts";
import { activation } from "../../graph/layers/dense/activation.ts";
import { clampFloat16 } from "../../graph/layers/dense/clamp_float16.ts";
import { linear } from "../../graph/layers/dense/linear.ts";
import { timestepEmbedding } from "../../graph/layers/dense/timestep_embedding.ts";
import { repeatForBranches } from "../../graph/layers/head/repeat_for_branches.ts";
import { modulation } from "../../graph/layers/norm/modulation.ts";
import { rmsNorm } from "../../graph/layers/norm/rms_norm.ts";
import {
  type TransformerGraphs,
  transformerGraphs,
  type TransformerParts,
} from "../../graph/transformer_graphs.ts";
import { parseQwenImageConfig, type QwenImageConfig } from "./qwen_image_config.ts";

const LAYERS: StreamLayers = {
  image: { modulation: "img_mod.1", feedForward: "img_mlp" },
  text: { modulation: "txt_mod.1", feedForward: "txt_mlp" },
};
/** Channels of the timestep's sines, and their scale: the pipeline divides timesteps by it. */
const TIME_CHANNELS = 256;
const TIME_SCALE = 1000;

export interface QwenImageTransformerOptions extends DenoiserOptions {
  /** Whether the trunk looks at references. @default false */
  references?: boolean;
}

/**
 * Builds the graphs. The output is [batch, image_tokens, out_channels].
 * Inputs of the trunk: timestep [batch], 0..1 as QwenImagePipeline passes it; hidden_states [batch,
 * image_tokens, in_channels]; encoder_hidden_states [batch, text_tokens, joint]; rotary_cos and rotary_sin
 * [text_tokens + image_tokens, head_dim / 2] float32 (`qwenImageRotaryTables`). With references, theirs
 * follow the image's tokens in hidden_states and in the tables, and picture_tokens [image_tokens] is an input
 * (`pictureTokens`). Inputs of the modulation: timestep [steps]; branches [batch], whose values are ignored.
 * @throws {CheckpointError} if the config asks for something unsupported, or if
 * the weights do not fit the config.
 */
export function qwenImageTransformerGraphs(options: QwenImageTransformerOptions): TransformerGraphs {
  const config = parseQwenImageConfig(options.config);
  const { innerDim, outChannels } = config;
  return transformerGraphs(options, {
    axes: ["image_tokens"],
    conditioning: (graph) => repeatForBranches(graph, conditioningOf(graph, config, "steps"), [innerDim]),
    blocks: (graph) => blocks(graph, { config, references: options.references ?? false }),
    eps: JOINT_EPS,
    projection: { name: "proj_out", inFeatures: innerDim, outFeatures: outChannels },
    emitLatents: (graph, { tokens }, rows) =>
      graph.output("output", graph.cast(tokens, "float32"), [rows, "image_tokens", outChannels]),
  });
}

/** Declares the input timestep and emits SiLU of its embedding, [rows, innerDim]. */
function conditioningOf(
  graph: GraphBuilder,
  { innerDim: features }: QwenImageConfig,
  rows: "batch" | "steps",
): Value {
  return embeddedTime(graph, graph.input("timestep", [rows], "float32"), features);
}

/** Emits SiLU of the timesteps' embedding. diffusers rounds timesteps to the compute type. */
function embeddedTime(graph: GraphBuilder, given: Value, features: number): Value {
  const timestep = graph.cast(graph.cast(given), "float32");
  const embedding = graph.scope("timestep_embedder", () =>
    timestepEmbedding(graph, timestep, {
      name: "time_text_embed.timestep_embedder",
      channels: TIME_CHANNELS,
      scale: TIME_SCALE,
      features,
    }));
  return activation(graph, embedding, "silu");
}

interface BlocksOptions {
  config: QwenImageConfig;
  references: boolean;
}

function blocks(
  graph: GraphBuilder,
  { config, references }: BlocksOptions,
): ReturnType<TransformerParts["blocks"]> {
  const { inChannels, innerDim, jointAttentionDim, attentionHeadDim, numAttentionHeads: heads } = config;
  const axis = references ? "sequence_tokens" : "image_tokens";
  const latents = graph.cast(graph.input("hidden_states", ["batch", axis, inChannels], "float32"));
  const states = graph.cast(
    graph.input("encoder_hidden_states", ["batch", "text_tokens", jointAttentionDim], "float32"),
  );
  const cos = graph.input("rotary_cos", ["tokens", attentionHeadDim / 2], "float32");
  const sin = graph.input("rotary_sin", ["tokens", attentionHeadDim / 2], "float32");
  const conditioning = conditioningOf(graph, config, "batch");
  const normed = rmsNorm(graph, states, { name: "txt_norm", features: jointAttentionDim, eps: JOINT_EPS });
  let streams = {
    image: linear(graph, latents, {
      name: "img_in",
      inFeatures: inChannels,
      outFeatures: innerDim,
      asStored: true,
    }),
    text: linear(graph, normed, {
      name: "txt_in",
      inFeatures: jointAttentionDim,
      outFeatures: innerDim,
      asStored: true,
    }),
  };
  const imageTokens = references ? pictureTokenCount(graph) : undefined;
  const context: JointContext = {
    heads,
    headDim: attentionHeadDim,
    qkNorm: "rms_norm",
    conditioning,
    layers: LAYERS,
    rotate: (tokens) => rotary(graph, tokens, { cos, sin, heads }),
    tokenCounts: countTokens(graph, streams),
    ...imageTokens && config.zeroCondT &&
      stillReferences(graph, { conditioning, all: streams.image, imageTokens, features: innerDim }),
  };
  for (let i = 0; i < config.numLayers; i++) {
    const name = `transformer_blocks.${i}`;
    const { image, text } = graph.scope(name, () => jointBlock(graph, streams, { name, context }));
    streams = { image: clampFloat16(graph, image), text: clampFloat16(graph, text) };
  }
  const tokens = imageTokens ? pictureTokens(graph, streams.image, imageTokens) : streams.image;
  return { tokens, conditioning };
}

interface StillReferencesOptions {
  conditioning: Value;
  /** The image's tokens and the references' tokens. */
  all: Value;
  /** Number of the image's tokens, [1] int64. */
  imageTokens: Value;
  features: number;
}

/** References are modulated as at timestep 0, so that they are the same at every step of the first block. */
function stillReferences(
  graph: GraphBuilder,
  { conditioning, all, imageTokens, features }: StillReferencesOptions,
): Pick<JointContext, "modulate" | "imagePerToken"> {
  const atZero = graph.scope(
    "still",
    () => embeddedTime(graph, graph.constant([0], [1], "float32"), features),
  );
  const range = graph.node("Range", [
    graph.scalar(0, "int64"),
    graph.node("Squeeze", [graph.node("Shape", [all], { attributes: { start: 1, end: 2 }, dtype: "int64" })]),
    graph.scalar(1, "int64"),
  ]);
  const isReference = graph.node("GreaterOrEqual", [
    graph.cast(range, "float32"),
    graph.cast(imageTokens, "float32"),
  ], {
    dtype: "bool",
  });
  const ofReference = graph.node("Unsqueeze", [isReference, graph.ints(0, 2)], { dtype: "bool" });
  return {
    imagePerToken: true,
    modulate(norm) {
      const atTime = modulation(graph, conditioning, { ...norm, features });
      if (!norm.name.endsWith(LAYERS.image.modulation)) return atTime;
      const still = modulation(graph, atZero, { ...norm, features });
      return atTime.map((part, i) =>
        graph.node("Where", [ofReference, still[i]!, part], { dtype: part.dtype })
      );
    },
  };
}
