// CLIP's text encoder as transformers computes it (CLIPTextModel, CLIPTextModelWithProjection).
import { z } from "zod";
import type { DType } from "../../runtime/dtype.ts";
import { GraphBuilder, type OnnxModel, type Value } from "../graph_builder.ts";
import { type ActivationName, ACTIVATIONS } from "../layers/dense/activation.ts";
import { clipLayer } from "../clip_layer.ts";
import { embedding } from "../layers/dense/embedding.ts";
import { layerNorm } from "../layers/norm/layer_norm.ts";
import { linear } from "../layers/dense/linear.ts";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import { pretrainedConfig } from "./pretrained_config.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import type { Weights } from "../../checkpoint/weights.ts";

export type ClipTextClass = "CLIPTextModel" | "CLIPTextModelWithProjection";

/**
 * - last_hidden_state: [batch, tokens, hidden_size], after the final norm
 * - pooled_output: [batch, hidden_size], its row at the end-of-text token
 * - penultimate_hidden_state: [batch, tokens, hidden_size], transformers' hidden_states[-2], not normed
 * - text_embeds: [batch, projection_dim], the projected pooled output; only of CLIPTextModelWithProjection
 */
export type ClipTextOutput =
  | "last_hidden_state"
  | "pooled_output"
  | "penultimate_hidden_state"
  | "text_embeds";

export interface ClipTextEncoderOptions {
  /** The component's parsed config.json. */
  config: unknown;
  weights: Weights;
  /** Compute type; outputs are float32. */
  dtype: DType;
  /** Component folder, for names and errors. @default "text_encoder" */
  name?: string;
  /** The class in model_index.json. @default the config's `architectures` */
  className?: ClipTextClass;
  /**
   * Outputs to compute. ONNX Runtime computes all outputs of a graph, fetched or not.
   * @default all outputs of the class
   */
  outputs?: readonly ClipTextOutput[];
}

/**
 * Builds the graph input_ids [batch, tokens] int64 -> `outputs`. Attention is causal;
 * tokens after the end are not masked.
 * @throws {CheckpointError} if the config asks for something unsupported, or contradicts the weights.
 */
export function clipTextEncoderGraph(options: ClipTextEncoderOptions): OnnxModel {
  const { weights, dtype, name = "text_encoder" } = options;
  const config = parseClipTextConfig(options.config, name);
  const projected = (options.className ?? config.architectures?.[0]) === "CLIPTextModelWithProjection";
  const outputs = new Set(
    options.outputs ?? [...BASE_OUTPUTS, ...(projected ? ["text_embeds" as const] : [])],
  );
  if (outputs.has("text_embeds") && !projected) {
    throw new CheckpointError(`Cannot compute 'text_embeds' from ${name} as CLIPTextModel has no projection`);
  }

  const graph = new GraphBuilder({ name, weights, dtype });
  // transformers 5 saves CLIPTextModel without the prefix of 4.x and of CLIPTextModelWithProjection.
  const root = graph.has("text_model.final_layer_norm.weight") ? "text_model." : "";
  const { hidden_size: features, num_hidden_layers: layers, layer_norm_eps: eps } = config;
  const sequence = ["batch", "tokens", features];

  const inputIds = graph.input("input_ids", ["batch", "tokens"], "int64");
  let hidden = graph.scope("embeddings", () => embed(graph, inputIds, { config, root }));
  for (let i = 0; i < layers; i++) {
    // hidden_states[-2] is the last layer's input.
    if (i === layers - 1 && outputs.delete("penultimate_hidden_state")) {
      graph.output("penultimate_hidden_state", graph.cast(hidden, "float32"), sequence);
      if (outputs.size === 0) return graph.build();
    }
    hidden = graph.scope(
      `layer_${i}`,
      () => clipLayer(graph, hidden, { config, name: `${root}encoder.layers.${i}`, causal: true }),
    );
  }
  hidden = layerNorm(graph, hidden, { name: `${root}final_layer_norm`, features, eps });
  if (outputs.delete("last_hidden_state")) {
    graph.output("last_hidden_state", graph.cast(hidden, "float32"), sequence);
  }
  if (outputs.size === 0) return graph.build();
  const pooled = graph.scope("pooling", () => pool(graph, hidden, { inputIds, config }));
  if (outputs.has("pooled_output")) {
    graph.output("pooled_output", graph.cast(pooled, "float32"), ["batch", features]);
  }
  if (outputs.has("text_embeds")) {
    const { projection_dim: outFeatures } = config;
    const embeds = linear(graph, pooled, {
      name: "text_projection",
      inFeatures: features,
      outFeatures,
      bias: false,
      asStored: true,
    });
    graph.output("text_embeds", graph.cast(embeds, "float32"), ["batch", outFeatures]);
  }
  return graph.build();
}

const BASE_OUTPUTS: readonly ClipTextOutput[] = [
  "last_hidden_state",
  "pooled_output",
  "penultimate_hidden_state",
];

const count = z.int().positive();

/** transformers' CLIPTextConfig with its defaults, which old checkpoints leave out. */
const CLIP_TEXT_CONFIG = pretrainedConfig({
  architectures: z.array(z.enum(["CLIPTextModel", "CLIPTextModelWithProjection"])).nullish(),
  model_type: z.enum(["clip_text_model", "clip"]).optional(),
  vocab_size: count.default(49408),
  hidden_size: count.default(512),
  intermediate_size: count.default(2048),
  projection_dim: count.default(512),
  num_hidden_layers: count.default(12),
  num_attention_heads: count.default(8),
  max_position_embeddings: count.default(77),
  hidden_act: z.enum(Object.keys(ACTIVATIONS) as ActivationName[]).default("quick_gelu"),
  layer_norm_eps: z.number().positive().default(1e-5),
  eos_token_id: z.int().nonnegative().default(49407),
  // Training only.
  attention_dropout: z.unknown().optional(),
  dropout: z.unknown().optional(),
});

export type ClipTextConfig = z.infer<typeof CLIP_TEXT_CONFIG>;

/**
 * Checks a CLIP text encoder's config.json.
 * @throws {CheckpointError} naming the option, the rule and the value.
 */
export function parseClipTextConfig(json: unknown, name: string): ClipTextConfig {
  const path = `${name}/config.json`;
  const config = parseConfig(CLIP_TEXT_CONFIG, json, { className: "CLIPTextModel", path });
  const { hidden_size: features, num_attention_heads: heads } = config;
  if (features % heads !== 0) {
    throw new CheckpointError(
      `Cannot use ${path} as 'hidden_size' must be a multiple of 'num_attention_heads': ` +
        `current values are ${features} and ${heads}`,
    );
  }
  return config;
}

function embed(
  graph: GraphBuilder,
  inputIds: Value,
  { config, root }: { config: ClipTextConfig; root: string },
): Value {
  const { vocab_size, max_position_embeddings, hidden_size: features } = config;
  const tokens = embedding(graph, inputIds, {
    name: `${root}embeddings.token_embedding`,
    count: vocab_size,
    features,
  });
  const positions = graph.weight(`${root}embeddings.position_embedding.weight`, [
    max_position_embeddings,
    features,
  ]);
  const length = graph.node("Shape", [inputIds], { attributes: { start: 1 }, dtype: "int64" });
  const first = graph.node("Slice", [positions, graph.ints(0), length, graph.ints(0)]);
  return graph.node("Add", [tokens, first]);
}

/** Emits the row of the end-of-text token, which each generation of configs defines differently. */
function pool(
  graph: GraphBuilder,
  hidden: Value,
  { inputIds, config }: { inputIds: Value; config: ClipTextConfig },
): Value {
  // Configs from before transformers 4.31 have a wrong id 2. The largest id then marks the end of the text.
  const isEnd = config.eos_token_id === 2
    ? inputIds
    : graph.node("Equal", [inputIds, graph.scalar(config.eos_token_id, "int64")], { dtype: "bool" });
  // ArgMax picks the first of equal values. It has no int64 kernel on CUDA, and float32 holds any id exactly.
  const position = graph.node("ArgMax", [graph.cast(isEnd, "float32")], {
    attributes: { axis: 1, keepdims: 1 },
    dtype: "int64",
  });
  return graph.node("GatherND", [hidden, position], { attributes: { batch_dims: 1 } });
}
