// Attention over text and image tokens together (MMDiT, arXiv 2403.03206): diffusers'
// Attention with added projections.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { attention, type AttentionInputs } from "./attention.ts";
import { linear } from "../dense/linear.ts";
import { modulation, type ModulationOptions } from "../norm/modulation.ts";
import { normHeads, type QueryKeyNorm } from "./norm_heads.ts";

/** Epsilon of every norm around this attention. */
export const JOINT_EPS = 1e-6;

/** The values that all blocks of a graph share. */
export interface JointContext {
  heads: number;
  /** Channels of a head. A token has heads * headDim features. */
  headDim: number;
  qkNorm: QueryKeyNorm;
  /** Width of the blocks' MLPs. @default 4 * features */
  mlpFeatures?: number;
  /** Activated conditioning, [batch, features]. */
  conditioning: Value;
  /**
   * Emits the shifts, scales and gates of a block's norm, [batch, 1, features] each, or [batch, tokens,
   * features] for image tokens with `imagePerToken`.
   * @default the norm's own layer applied to `conditioning`
   */
  modulate?: (norm: Omit<ModulationOptions, "features">) => Value[];
  /** The first image tokens, if they have a conditioning of their own. @default none */
  firstTokens?: FirstTokens;
  /** Whether each image token has a modulation of its own. @default false */
  imagePerToken?: boolean;
  /** Added to the scores of all tokens, text first: [batch, 1, tokens, tokens]. @default nothing */
  bias?: Value;
  /** Numbers of text and image tokens, [2] int64, for splitting joined tokens. */
  tokenCounts: Value;
  /** Names of a two-stream block's layers. @default FLUX's and Stable Diffusion 3's */
  layers?: StreamLayers;
  /** Rotates queries or keys of all tokens, text first, by their positions. @default no rotation */
  rotate?: (tokens: Value) => Value;
}

/** Image tokens with another conditioning than all others: a given first frame's. */
export interface FirstTokens {
  /** Activated conditioning, [batch, features]. */
  conditioning: Value;
  /** Numbers of these and of the other image tokens, [2] int64. */
  counts: Value;
}

/** Names of a two-stream block's layers that are not inside its attention, for each stream. */
export type StreamLayers = Readonly<
  Record<"image" | "text", Readonly<Record<"modulation" | "feedForward", string>>>
>;

export interface AttentionProjectionsOptions {
  /** Name of the attention module. */
  name: string;
  /**
   * Selects one of the module's two sets of layers: the image's (also used for attention
   * over one stream) or the text's.
   */
  stream: "image" | "text";
  context: JointContext;
}

const LAYERS = {
  image: { query: "to_q", key: "to_k", value: "to_v", queryNorm: "norm_q", keyNorm: "norm_k" },
  text: {
    query: "add_q_proj",
    key: "add_k_proj",
    value: "add_v_proj",
    queryNorm: "norm_added_q",
    keyNorm: "norm_added_k",
  },
} as const;

/** Emits queries and keys, normed per head, and values: [batch, tokens, features] each. */
export function attentionProjections(
  graph: GraphBuilder,
  x: Value,
  { name, stream, context }: AttentionProjectionsOptions,
): AttentionInputs {
  const { heads, headDim, qkNorm: kind } = context;
  const features = heads * headDim;
  const layers = LAYERS[stream];
  const project = (layer: string) =>
    linear(graph, x, { name: `${name}.${layer}`, inFeatures: features, outFeatures: features });
  const norm = (projected: Value, layer: string) =>
    normHeads(graph, projected, { name: `${name}.${layer}`, kind, heads, headDim, eps: JOINT_EPS });
  return {
    query: norm(project(layers.query), layers.queryNorm),
    key: norm(project(layers.key), layers.keyNorm),
    value: project(layers.value),
  };
}

/** Emits attention over all tokens, text first, with rotated queries and keys: [batch, tokens, features]. */
export function jointAttention(
  graph: GraphBuilder,
  { query, key, value }: AttentionInputs,
  { heads, rotate = (tokens) => tokens, bias }: JointContext,
): Value {
  return attention(graph, { query: rotate(query), key: rotate(key), value }, { heads, ...bias && { bias } });
}

/** Emits the shifts, scales and gates of a block's norm, [batch, 1, features] each. */
export function blockModulation(
  graph: GraphBuilder,
  { conditioning, heads, headDim, modulate }: JointContext,
  norm: Omit<ModulationOptions, "features">,
): Value[] {
  return modulate?.(norm) ?? modulation(graph, conditioning, { ...norm, features: heads * headDim });
}
