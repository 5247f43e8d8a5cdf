// The options of transformers' LlavaConfig (4.x and 5.x) with its defaults: LLaMA behind CLIP's vision
// encoder.
import { z } from "zod";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import { type ActivationName, ACTIVATIONS } from "../layers/dense/activation.ts";
import { type ClipVisionConfig, clipVisionTokens, parseClipVisionConfig } from "./clip_vision_encoder.ts";
import type { CausalEncoderConfig } from "../text_encoders/causal_encoder_config.ts";
import { parseLlamaConfig } from "../text_encoders/llama_config.ts";
import { pretrainedConfig } from "../text_encoders/pretrained_config.ts";

const part = z.record(z.string(), z.unknown());

const LLAVA_CONFIG = pretrainedConfig({
  model_type: z.literal("llava").optional(),
  text_config: part,
  vision_config: part,
  image_token_index: z.int().nonnegative().default(32000),
  projector_hidden_act: z.enum(Object.keys(ACTIVATIONS) as ActivationName[]).default("gelu"),
  multimodal_projector_bias: z.boolean().default(true),
  // The states before the last layer, without the one of the whole picture.
  vision_feature_layer: z.literal(-2).default(-2),
  vision_feature_select_strategy: z.literal("default").default("default"),
  // The number of tokens follows from the vision encoder. Other options are of training, or old.
  image_seq_length: z.unknown().optional(),
  ignore_index: z.unknown().optional(),
  vocab_size: z.unknown().optional(),
});

export interface LlavaConfig {
  text: CausalEncoderConfig;
  /** The parsed config of the text model. */
  textConfig: unknown;
  vision: ClipVisionConfig;
  /** Id of the token that stands for a picture. */
  imageToken: number;
  /** Tokens of a picture. */
  pictureTokens: number;
  projectorAct: ActivationName;
  projectorBias: boolean;
}

/**
 * Checks a LlavaForConditionalGeneration's config.json.
 * @throws {CheckpointError} naming the option, the rule and the value.
 */
export function parseLlavaConfig(
  json: unknown,
  { name, skippedLayers }: { name: string; skippedLayers: number },
): LlavaConfig {
  const path = `${name}/config.json`;
  const config = parseConfig(LLAVA_CONFIG, json, { className: "LlavaForConditionalGeneration", path });
  const text = parseLlamaConfig(config.text_config, { name, skippedLayers });
  const vision = parseClipVisionConfig(config.vision_config, path);
  if (config.image_token_index >= text.vocabSize) {
    throw new CheckpointError(
      `Cannot use ${path} as 'image_token_index' must be below 'vocab_size' (${text.vocabSize}), ` +
        `but is ${config.image_token_index}`,
    );
  }
  return {
    text,
    textConfig: config.text_config,
    vision,
    imageToken: config.image_token_index,
    pictureTokens: clipVisionTokens(vision) - 1,
    projectorAct: config.projector_hidden_act,
    projectorBias: config.multimodal_projector_bias,
  };
}
