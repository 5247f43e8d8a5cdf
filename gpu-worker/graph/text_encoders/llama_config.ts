// The options of transformers' LlamaConfig (4.x and 5.x) with its defaults.
import { z } from "zod";
import { type ActivationName, ACTIVATIONS } from "../layers/dense/activation.ts";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import { pretrainedConfig } from "./pretrained_config.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { type CausalEncoderConfig, causalEncoderConfig } from "./causal_encoder_config.ts";
import { ROTARY_OPTIONS } from "./rotary_frequencies.ts";

const count = z.int().positive();

const LLAMA_CONFIG = pretrainedConfig({
  architectures: z.array(z.enum(["LlamaModel", "LlamaForCausalLM"])).nullish(),
  model_type: z.literal("llama").optional(),
  vocab_size: count.default(32000),
  hidden_size: count.default(4096),
  intermediate_size: count.default(11008),
  num_hidden_layers: count.default(32),
  num_attention_heads: count.default(32),
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  hidden_act: z.enum(Object.keys(ACTIVATIONS) as ActivationName[]).default("silu"),
  rms_norm_eps: z.number().positive().default(1e-6),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  ...ROTARY_OPTIONS,
  // Options of training, and of splitting products over devices.
  attention_dropout: z.unknown().optional(),
  max_position_embeddings: z.unknown().optional(),
  pretraining_tp: z.unknown().optional(),
});

export interface LlamaConfigOptions {
  /** Component folder. */
  name: string;
  /** Number of layers at the end that are not run. */
  skippedLayers: number;
}

const DEFAULT_THETA = 10000;

/**
 * Checks a LLaMA's config.json.
 * @throws {CheckpointError} naming the option, the rule and the value.
 */
export function parseLlamaConfig(
  json: unknown,
  { name, skippedLayers }: LlamaConfigOptions,
): CausalEncoderConfig {
  const path = `${name}/config.json`;
  const config = parseConfig(LLAMA_CONFIG, json, { className: "LlamaModel", path });
  const refuse = (rule: string, value: unknown) => {
    throw new CheckpointError(`Cannot use ${path} as ${rule}: current value is ${value}`);
  };
  const { hidden_size: features, num_attention_heads: heads, attention_bias: bias } = config;
  if (features % heads !== 0) refuse(`'hidden_size' must be a multiple of the ${heads} heads`, features);
  if (config.num_hidden_layers < skippedLayers) {
    refuse(`'num_hidden_layers' must be at least ${skippedLayers}`, config.num_hidden_layers);
  }
  return causalEncoderConfig(config, {
    path,
    attentionBias: { inputs: bias, output: bias },
    queryKeyNorm: false,
    mlpBias: config.mlp_bias,
    defaultTheta: DEFAULT_THETA,
  });
}
