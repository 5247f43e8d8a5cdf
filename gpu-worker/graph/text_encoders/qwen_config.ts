// The options of transformers' Qwen3Config and of the text parts of Qwen2_5_VLConfig and Qwen3VLConfig (4.x
// and 5.x) with their defaults.
import { z } from "zod";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import { type ActivationName, ACTIVATIONS } from "../layers/dense/activation.ts";
import { type CausalEncoderConfig, causalEncoderConfig } from "./causal_encoder_config.ts";
import { pretrainedConfig } from "./pretrained_config.ts";
import { ROTARY_OPTIONS, rotaryAxes, type RotaryConfig } from "./rotary_frequencies.ts";

/** Each architecture, and its classes that have a text model. */
export const QWEN_CLASSES = {
  qwen3: ["Qwen3ForCausalLM", "Qwen3Model"],
  qwen2_5_vl: ["Qwen2_5_VLForConditionalGeneration", "Qwen2_5_VLModel"],
  qwen3_vl: ["Qwen3VLForConditionalGeneration", "Qwen3VLModel"],
} as const;

export type QwenArchitecture = keyof typeof QWEN_CLASSES;

const count = z.int().positive();

const TEXT_OPTIONS = {
  vocab_size: count.default(151936),
  hidden_size: count.default(4096),
  intermediate_size: count.default(22016),
  num_hidden_layers: count.default(32),
  num_attention_heads: count.default(32),
  num_key_value_heads: count.nullable().default(32),
  head_dim: count.default(128),
  hidden_act: z.enum(Object.keys(ACTIVATIONS) as ActivationName[]).default("silu"),
  rms_norm_eps: z.number().positive().default(1e-6),
  attention_bias: z.boolean().default(false),
  ...ROTARY_OPTIONS,
  // Every layer attends to all earlier tokens.
  use_sliding_window: z.literal(false).nullish(),
  layer_types: z.array(z.literal("full_attention")).nullish(),
  sliding_window: z.unknown().optional(),
  max_window_layers: z.unknown().optional(),
  // Options of training.
  attention_dropout: z.unknown().optional(),
  max_position_embeddings: z.unknown().optional(),
};

const QWEN3 = pretrainedConfig({
  ...TEXT_OPTIONS,
  architectures: z.array(z.enum(QWEN_CLASSES.qwen3)).nullish(),
  model_type: z.literal("qwen3").optional(),
});

const { head_dim: _derived, attention_bias: _always, ...OPTIONS_OF_QWEN2 } = TEXT_OPTIONS;
const QWEN2_5_VL_TEXT_OPTIONS = {
  ...OPTIONS_OF_QWEN2,
  vocab_size: count.default(152064),
  hidden_size: count.default(8192),
  intermediate_size: count.default(29568),
  num_hidden_layers: count.default(80),
  num_attention_heads: count.default(64),
  num_key_value_heads: count.nullable().default(8),
  rms_norm_eps: z.number().positive().default(1e-5),
};

/** Options of a model of text and pictures besides those of its text part. */
const VISION_OPTIONS = {
  vision_config: z.unknown().optional(),
  image_token_id: z.int().nonnegative().nullish(),
  video_token_id: z.unknown().optional(),
  vision_start_token_id: z.unknown().optional(),
  vision_end_token_id: z.unknown().optional(),
  vision_token_id: z.unknown().optional(),
};

const QWEN2_5_VL_TEXT = pretrainedConfig({
  ...QWEN2_5_VL_TEXT_OPTIONS,
  // transformers 4.5x copied the parent's token ids into the text part.
  ...VISION_OPTIONS,
  model_type: z.literal("qwen2_5_vl_text").optional(),
});
/** Without text_config the text's options stand beside the vision tower's, as in published files. */
const QWEN2_5_VL = pretrainedConfig({
  ...QWEN2_5_VL_TEXT_OPTIONS,
  ...VISION_OPTIONS,
  architectures: z.array(z.enum(QWEN_CLASSES.qwen2_5_vl)).nullish(),
  model_type: z.literal("qwen2_5_vl").optional(),
  text_config: QWEN2_5_VL_TEXT.nullish(),
});

const QWEN3_VL = pretrainedConfig({
  ...VISION_OPTIONS,
  architectures: z.array(z.enum(QWEN_CLASSES.qwen3_vl)).nullish(),
  model_type: z.literal("qwen3_vl").optional(),
  text_config: pretrainedConfig({ ...TEXT_OPTIONS, model_type: z.literal("qwen3_vl_text").optional() })
    .prefault({}),
});

export interface QwenConfigOptions {
  architecture: QwenArchitecture;
  /** Component folder. @default "text_encoder" */
  name?: string;
}

/**
 * Checks a Qwen's config.json.
 * @throws {CheckpointError} naming the option, the rule and the value.
 */
export function parseQwenConfig(
  json: unknown,
  { architecture, name = "text_encoder" }: QwenConfigOptions,
): CausalEncoderConfig {
  const path = `${name}/config.json`;
  const options = { className: QWEN_CLASSES[architecture][0], path };
  const biased = (bias: boolean) => ({ inputs: bias, output: bias });
  switch (architecture) {
    case "qwen3": {
      const config = parseConfig(QWEN3, json, options);
      const attentionBias = biased(config.attention_bias);
      return causalEncoderConfig(config, { path, attentionBias, queryKeyNorm: true, defaultTheta: 10_000 });
    }
    case "qwen2_5_vl": {
      const config = parseConfig(QWEN2_5_VL, json, options);
      return causalEncoderConfig(config.text_config ?? config, {
        path,
        attentionBias: { inputs: true, output: false },
        queryKeyNorm: false,
        defaultTheta: 1_000_000,
      });
    }
    case "qwen3_vl": {
      const { text_config: config } = parseConfig(QWEN3_VL, json, options);
      const attentionBias = biased(config.attention_bias);
      return causalEncoderConfig(config, { path, attentionBias, queryKeyNorm: true, defaultTheta: 500_000 });
    }
    default:
      return architecture satisfies never;
  }
}

/** Options that a model of text and pictures adds to its text model's config. */
export interface QwenImageInputs {
  /** Axis of each pair of a head's channels: 0 is time, 1 the row, 2 the column. */
  rotaryAxes: readonly number[];
  /** Id of the token that stands for a picture's tokens. */
  imageToken: number;
  /** The options of the vision tower, unchecked. */
  vision: unknown;
}

/** Published models' id of <|image_pad|>. */
const IMAGE_TOKEN = 151655;

/**
 * Reads the parts of a config.json that pictures in the text need.
 * @throws {CheckpointError} as `parseQwenConfig`.
 */
export function parseQwenImageInputs(
  json: unknown,
  { architecture, name = "text_encoder" }: QwenConfigOptions & { architecture: "qwen2_5_vl" | "qwen3_vl" },
): QwenImageInputs {
  const path = `${name}/config.json`;
  const { headDim } = parseQwenConfig(json, { architecture, name });
  const options = { className: QWEN_CLASSES[architecture][0], path };
  const isThird = architecture === "qwen3_vl";
  const config = isThird ? parseConfig(QWEN3_VL, json, options) : parseConfig(QWEN2_5_VL, json, options);
  const text = config.text_config ?? config;
  return {
    rotaryAxes: rotaryAxes(text as RotaryConfig, {
      headDim,
      path,
      sections: isThird ? [24, 20, 20] : [16, 24, 24],
      interleaved: isThird,
    }),
    imageToken: config.image_token_id ?? IMAGE_TOKEN,
    vision: config.vision_config,
  };
}
