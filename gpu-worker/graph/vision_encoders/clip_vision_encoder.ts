// CLIP's vision encoder as transformers computes it (CLIPVisionModel), up to the input of its last layer.
import { z } from "zod";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import type { DType } from "../../runtime/dtype.ts";
import { clipLayer } from "../clip_layer.ts";
import { GraphBuilder, type OnnxModel, type Value } from "../graph_builder.ts";
import { patchTokens } from "../layers/convolution/patch_tokens.ts";
import { type ActivationName, ACTIVATIONS } from "../layers/dense/activation.ts";
import { layerNorm } from "../layers/norm/layer_norm.ts";
import { pretrainedConfig } from "../text_encoders/pretrained_config.ts";

const count = z.int().positive();

/** transformers' CLIPVisionConfig with its defaults. */
const CLIP_VISION_CONFIG = pretrainedConfig({
  model_type: z.enum(["clip_vision_model", "clip"]).optional(),
  hidden_size: count.default(768),
  intermediate_size: count.default(3072),
  // Options of a head that no pipeline of videos uses.
  projection_dim: z.unknown().optional(),
  num_hidden_layers: count.default(12),
  num_attention_heads: count.default(12),
  num_channels: z.literal(3).default(3),
  image_size: count.default(224),
  patch_size: count.default(32),
  hidden_act: z.enum(Object.keys(ACTIVATIONS) as ActivationName[]).default("quick_gelu"),
  layer_norm_eps: z.number().positive().default(1e-5),
  // An option of CLIP's text encoder that LLaVA's configs carry along.
  vocab_size: z.unknown().optional(),
  // Training only.
  attention_dropout: z.unknown().optional(),
  dropout: z.unknown().optional(),
});

export type ClipVisionConfig = z.infer<typeof CLIP_VISION_CONFIG>;

/**
 * Checks a CLIP vision encoder's config.json.
 * @throws {CheckpointError} naming the option, the rule and the value.
 */
export function parseClipVisionConfig(json: unknown, path: string): ClipVisionConfig {
  const config = parseConfig(CLIP_VISION_CONFIG, json, { className: "CLIPVisionModel", path });
  const { hidden_size: features, num_attention_heads: heads, image_size, patch_size } = config;
  if (features % heads !== 0) {
    throw new CheckpointError(
      `Cannot use ${path} as 'hidden_size' must be a multiple of 'num_attention_heads', ` +
        `but is ${features} for ${heads}`,
    );
  }
  if (patch_size > image_size) {
    throw new CheckpointError(
      `Cannot use ${path} as 'patch_size' must be at most 'image_size' (${image_size}), but is ${patch_size}`,
    );
  }
  return config;
}

/** Returns the tokens of a picture: one for the whole, then one for each patch. */
export function clipVisionTokens({ image_size, patch_size }: ClipVisionConfig): number {
  return 1 + Math.floor(image_size / patch_size) ** 2;
}

export interface ClipVisionEncoderOptions {
  /** The component's parsed config.json. */
  config: unknown;
  weights: Weights;
  /** Compute type; outputs are float32. */
  dtype: DType;
  /** Component folder, for names and errors. @default "image_encoder" */
  name?: string;
}

/**
 * Builds the graph pixel_values [pictures, 3, image_size, image_size] float32 -> hidden_states [pictures,
 * tokens, hidden_size], transformers' hidden_states[-2], not normed.
 * @throws {CheckpointError} if the config asks for something unsupported, or contradicts the weights.
 */
export function clipVisionEncoderGraph(
  { weights, dtype, name = "image_encoder", ...options }: ClipVisionEncoderOptions,
): OnnxModel {
  const config = parseClipVisionConfig(options.config, `${name}/config.json`);
  const graph = new GraphBuilder({ name, weights, dtype });
  const hidden = clipVisionStates(graph, { config });
  const dims = ["pictures", clipVisionTokens(config), config.hidden_size];
  graph.output("hidden_states", graph.cast(hidden, "float32"), dims);
  return graph.build();
}

/**
 * Declares pixel_values [pictures, 3, image_size, image_size] float32 and emits the states [pictures, tokens,
 * hidden_size] in the compute type.
 */
export function clipVisionStates(
  graph: GraphBuilder,
  { config, prefix = "" }: {
    config: ClipVisionConfig;
    /** Begin of the encoder's names in the checkpoint. @default "" */
    prefix?: string;
  },
): Value {
  const { hidden_size: features, num_hidden_layers: layers, layer_norm_eps: eps, image_size: side } = config;
  // transformers 5 saves CLIPVisionModel without the prefix of 4.x.
  const inner = `${prefix}vision_model.`;
  const root = graph.has(`${inner}pre_layrnorm.weight`) ? inner : prefix;
  const pixels = graph.input("pixel_values", ["pictures", 3, side, side], "float32");
  const embedded = graph.scope("embeddings", () => embed(graph, pixels, { config, root }));
  // The name is misspelt in transformers too.
  let hidden = layerNorm(graph, embedded, { name: `${root}pre_layrnorm`, features, eps });
  for (let i = 0; i < layers - 1; i++) {
    hidden = graph.scope(
      `layer_${i}`,
      () => clipLayer(graph, hidden, { config, name: `${root}encoder.layers.${i}`, causal: false }),
    );
  }
  return hidden;
}

/** Emits the tokens with their positions: a learnt one for the whole picture, then the patches row by row. */
function embed(
  graph: GraphBuilder,
  pixels: Value,
  { config, root }: { config: ClipVisionConfig; root: string },
): Value {
  const { hidden_size: features, patch_size: patch, image_size: side } = config;
  const used = side - side % patch;
  const { tokens: patches } = patchTokens(graph, used === side ? pixels : corner(graph, pixels, used), {
    name: `${root}embeddings.patch_embedding`,
    channels: 3,
    patchSize: patch,
    features,
    bias: false,
  });
  const whole = graph.node("Reshape", [
    graph.weight(`${root}embeddings.class_embedding`, [features]),
    graph.ints(1, 1, features),
  ]);
  const pictures = graph.node("Shape", [pixels], { attributes: { start: 0, end: 1 }, dtype: "int64" });
  const shape = graph.node("Concat", [pictures, graph.ints(1, features)], { attributes: { axis: 0 } });
  const tokens = graph.node("Concat", [graph.node("Expand", [whole, shape]), patches], {
    attributes: { axis: 1 },
  });
  const positions = graph.weight(`${root}embeddings.position_embedding.weight`, [
    clipVisionTokens(config),
    features,
  ]);
  return graph.node("Add", [tokens, positions]);
}

/** Emits the first rows and columns, which patches cover whole. */
function corner(graph: GraphBuilder, pixels: Value, side: number): Value {
  return graph.node("Slice", [pixels, graph.ints(0, 0), graph.ints(side, side), graph.ints(2, 3)]);
}
