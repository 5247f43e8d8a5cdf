// T5's encoder as transformers computes it (T5EncoderModel; v1.0 with relu, v1.1 gated), and UMT5's, in which
// each block has its own position bias (UMT5EncoderModel).
import { z } from "zod";
import type { DType } from "../../runtime/dtype.ts";
import { GraphBuilder, type OnnxModel, type Value } from "../graph_builder.ts";
import { activation, type ActivationName, ACTIVATIONS } from "../layers/dense/activation.ts";
import { attention } from "../layers/attention/attention.ts";
import { embedding } from "../layers/dense/embedding.ts";
import { linear } from "../layers/dense/linear.ts";
import { relativePositionBias } from "../layers/attention/relative_position_bias.ts";
import { rmsNorm } from "../layers/norm/rms_norm.ts";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import { pretrainedConfig } from "./pretrained_config.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import type { Weights } from "../../checkpoint/weights.ts";

/** transformers' class. */
export type T5Class = "T5EncoderModel" | "UMT5EncoderModel";

export interface T5EncoderOptions {
  /** @default "T5EncoderModel" */
  className?: T5Class;
  /** The component's parsed config.json. */
  config: unknown;
  weights: Weights;
  /**
   * Compute type; the output is float32. In float16 the residual stream and `wo` stay
   * float32, as in transformers.
   */
  dtype: DType;
  /** Component folder, for names and errors. @default "text_encoder_2" */
  name?: string;
  /**
   * Whether the graph has the input attention_mask [batch, tokens] int64, with 0 for padding.
   * FLUX uses none. @default false
   */
  attentionMask?: boolean;
}

/**
 * Builds the graph input_ids [batch, tokens] int64 -> last_hidden_state [batch, tokens,
 * d_model], for any number of tokens.
 * @throws {CheckpointError} if the config asks for something unsupported, or contradicts the weights.
 */
export function t5EncoderGraph(options: T5EncoderOptions): OnnxModel {
  const { weights, dtype, name = "text_encoder_2", attentionMask = false, className } = options;
  const config = parseT5Config(options.config, { name, className });
  const { d_model: features, num_layers, num_heads: heads, layer_norm_epsilon: eps } = config;
  const graph = new GraphBuilder({ name, weights, dtype });

  const inputIds = graph.input("input_ids", ["batch", "tokens"], "int64");
  const table = graph.has("shared.weight") ? "shared" : "encoder.embed_tokens";
  let hidden = embedding(graph, inputIds, { name: table, count: config.vocab_size, features });
  // Sums over the blocks exceed float16's range.
  hidden = graph.cast(hidden, dtype === "float16" ? "float32" : dtype);
  const mask = attentionMask ? graph.scope("attention_mask", () => maskScores(graph)) : undefined;
  const biasOf = (block: number) => {
    const bias = relativePositionBias(graph, inputIds, {
      name: `encoder.block.${block}.layer.0.SelfAttention.relative_attention_bias`,
      heads,
      buckets: config.relative_attention_num_buckets,
      maxDistance: config.relative_attention_max_distance,
    });
    return mask === undefined ? bias : graph.node("Add", [bias, mask]);
  };
  const shared = className === "UMT5EncoderModel" ? undefined : graph.scope("position_bias", () => biasOf(0));

  for (let i = 0; i < num_layers; i++) {
    const block = `encoder.block.${i}`;
    hidden = graph.scope(`block_${i}`, () => {
      const bias = shared ?? graph.scope("position_bias", () => biasOf(i));
      const attended = selfAttention(graph, hidden, { name: `${block}.layer.0`, config, bias });
      return feedForward(graph, attended, { name: `${block}.layer.1`, config });
    });
  }
  const normed = rmsNorm(graph, hidden, { name: "encoder.final_layer_norm", features, eps });
  graph.output("last_hidden_state", graph.cast(graph.cast(normed), "float32"), ["batch", "tokens", features]);
  return graph.build();
}

const count = z.int().positive();
const activationName = z.enum(Object.keys(ACTIVATIONS) as ActivationName[]);

const T5_OPTIONS = {
  d_model: count.default(512),
  d_kv: count.default(64),
  relative_attention_num_buckets: z.int().min(4).default(32),
  relative_attention_max_distance: count.default(128),
  layer_norm_epsilon: z.number().positive().default(1e-6),
  // transformers derives these from feed_forward_proj. If a config has them, they take precedence.
  dense_act_fn: activationName.optional(),
  is_gated_act: z.boolean().optional(),
  // Options of the decoder, of other heads and of training.
  classifier_dropout: z.unknown().optional(),
  dropout_rate: z.unknown().optional(),
  n_positions: z.unknown().optional(),
  num_decoder_layers: z.unknown().optional(),
  scale_decoder_outputs: z.unknown().optional(),
};
const projection = z.templateLiteral([z.enum(["", "gated-"]), activationName]);

/** transformers' T5Config with its defaults, which old checkpoints leave out. */
const T5_CONFIG = pretrainedConfig({
  ...T5_OPTIONS,
  architectures: z.array(z.enum(["T5EncoderModel", "T5ForConditionalGeneration", "T5Model"])).nullish(),
  model_type: z.literal("t5").optional(),
  vocab_size: count.default(32128),
  d_ff: count.default(2048),
  num_layers: count.default(6),
  num_heads: count.default(8),
  feed_forward_proj: projection.default("relu"),
});

/** transformers' UMT5Config. */
const UMT5_CONFIG = pretrainedConfig({
  ...T5_OPTIONS,
  architectures: z.array(z.enum(["UMT5EncoderModel", "UMT5ForConditionalGeneration", "UMT5Model"])).nullish(),
  model_type: z.literal("umt5").optional(),
  vocab_size: count.default(250112),
  d_ff: count.default(1024),
  num_layers: count.default(8),
  num_heads: count.default(6),
  feed_forward_proj: projection.default("gated-gelu"),
  // Published configs have this option, but no version of the class reads it.
  scalable_attention: z.unknown().optional(),
});

type T5Options = Pick<
  z.infer<typeof T5_CONFIG>,
  keyof typeof T5_OPTIONS | "vocab_size" | "d_ff" | "num_layers" | "num_heads" | "feed_forward_proj"
>;

export interface T5Config extends T5Options {
  gated: boolean;
  activation: ActivationName;
}

/**
 * Checks a T5's config.json.
 * @throws {CheckpointError} naming the option, the rule and the value.
 */
export function parseT5Config(
  json: unknown,
  { name, className = "T5EncoderModel" }: { name: string; className?: T5Class | undefined },
): T5Config {
  const path = `${name}/config.json`;
  const config = className === "UMT5EncoderModel"
    ? parseConfig(UMT5_CONFIG, json, { className, path })
    : parseConfig(T5_CONFIG, json, { className, path });
  const { relative_attention_num_buckets: buckets, relative_attention_max_distance: maxDistance } = config;
  if (maxDistance <= Math.floor(Math.floor(buckets / 2) / 2)) {
    throw new CheckpointError(
      `Cannot use ${path} as 'relative_attention_max_distance' must exceed a quarter of ` +
        `'relative_attention_num_buckets': current values are ${maxDistance} and ${buckets}`,
    );
  }
  const { feed_forward_proj } = config;
  const named = feed_forward_proj.replace("gated-", "") as ActivationName;
  // transformers interprets this name, with which T5 v1.1 was published, as the tanh approximation.
  const implied = feed_forward_proj === "gated-gelu" ? "gelu_new" : named;
  return {
    ...config,
    gated: config.is_gated_act ?? feed_forward_proj.startsWith("gated-"),
    activation: config.dense_act_fn ?? implied,
  };
}

/** Score added to padding. Its exponential is 0 in every type, and float16 can represent it. */
const MASKED = -6e4;

/** Emits the scores to add for padding, [batch, 1, 1, tokens]. */
function maskScores(graph: GraphBuilder): Value {
  const mask = graph.input("attention_mask", ["batch", "tokens"], "int64");
  const isToken = graph.cast(graph.node("Unsqueeze", [mask, graph.ints(1, 2)]), "bool");
  return graph.node("Where", [isToken, graph.scalar(0), graph.scalar(MASKED)], { dtype: graph.dtype });
}

interface LayerOptions {
  name: string;
  config: T5Config;
}

function selfAttention(
  graph: GraphBuilder,
  x: Value,
  { name, config, bias }: LayerOptions & { bias: Value },
): Value {
  const { d_model, num_heads: heads, d_kv, layer_norm_epsilon: eps } = config;
  const inner = heads * d_kv;
  const normed = graph.cast(rmsNorm(graph, x, { name: `${name}.layer_norm`, features: d_model, eps }));
  const project = (part: "q" | "k" | "v") =>
    linear(graph, normed, {
      name: `${name}.SelfAttention.${part}`,
      inFeatures: d_model,
      outFeatures: inner,
      bias: false,
    });
  // T5's weights include the usual factor 1 / sqrt(d_kv).
  const inputs = { query: project("q"), key: project("k"), value: project("v") };
  const attended = attention(graph, inputs, { heads, scale: 1, bias });
  const out = linear(graph, attended, {
    name: `${name}.SelfAttention.o`,
    inFeatures: inner,
    outFeatures: d_model,
    bias: false,
  });
  return graph.node("Add", [x, graph.cast(out, x.dtype)]);
}

function feedForward(graph: GraphBuilder, x: Value, { name, config }: LayerOptions): Value {
  const { d_model, d_ff, layer_norm_epsilon: eps } = config;
  const normed = graph.cast(rmsNorm(graph, x, { name: `${name}.layer_norm`, features: d_model, eps }));
  const widen = (part: "wi" | "wi_0" | "wi_1") =>
    linear(graph, normed, {
      name: `${name}.DenseReluDense.${part}`,
      inFeatures: d_model,
      outFeatures: d_ff,
      bias: false,
    });
  const wide = config.gated
    ? graph.node("Mul", [activation(graph, widen("wi_0"), config.activation), widen("wi_1")])
    : activation(graph, widen("wi"), config.activation);
  const out = linear(graph, wide, {
    name: `${name}.DenseReluDense.wo`,
    inFeatures: d_ff,
    outFeatures: d_model,
    bias: false,
    dtype: x.dtype,
  });
  return graph.node("Add", [x, out]);
}
