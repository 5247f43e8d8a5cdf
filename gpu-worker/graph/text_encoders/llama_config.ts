// The options of transformers' LlamaConfig (4.x and 5.x) with its defaults, and the rotary
// frequencies that follow from them.
import { z } from "zod";
import { type ActivationName, ACTIVATIONS } from "../layers/dense/activation.ts";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import { pretrainedConfig } from "./pretrained_config.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";

const count = z.int().positive();
const factor = z.number().positive();
/** All channels of a head are rotated. */
const whole = { partial_rotary_factor: z.literal(1).optional() };

/**
 * "dynamic", "yarn" and "longrope" are rejected: their frequencies depend on the text, or
 * no LLaMA was published with them.
 */
const rope = z.preprocess(
  // Configs before transformers 4.45 say "type".
  (value) =>
    typeof value === "object" && value !== null && "type" in value
      ? withoutType({ rope_type: value.type, ...value })
      : value,
  z.discriminatedUnion("rope_type", [
    z.strictObject({ rope_type: z.literal("default"), rope_theta: factor.optional(), ...whole }),
    z.strictObject({ rope_type: z.literal("linear"), rope_theta: factor.optional(), factor, ...whole }),
    z.strictObject({
      rope_type: z.literal("llama3"),
      rope_theta: factor.optional(),
      factor,
      low_freq_factor: factor,
      high_freq_factor: factor,
      original_max_position_embeddings: count,
      ...whole,
    }),
  ]),
);

type Rope = z.infer<typeof rope>;

function withoutType({ type: _, ...options }: { type: unknown; rope_type: unknown }): object {
  return options;
}

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
  rms_norm_eps: factor.default(1e-6),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  // An option of 5.x, and the two options of 4.x that it replaces.
  rope_parameters: rope.nullish(),
  rope_scaling: rope.nullish(),
  rope_theta: factor.optional(),
  // Options of training, and of splitting products over devices.
  attention_dropout: z.unknown().optional(),
  max_position_embeddings: z.unknown().optional(),
  pretraining_tp: z.unknown().optional(),
});

/** LlamaModel's options in camelCase, and sizes derived from them. */
export interface LlamaConfig {
  vocabSize: number;
  hiddenSize: number;
  intermediateSize: number;
  numHiddenLayers: number;
  numAttentionHeads: number;
  /** Number of heads of keys and values. Divides the number of heads. */
  numKeyValueHeads: number;
  headDim: number;
  hiddenAct: ActivationName;
  rmsNormEps: number;
  attentionBias: boolean;
  mlpBias: boolean;
  /** Angle of each pair of channels from one position to the next, [headDim / 2]. */
  inverseFrequencies: number[];
}

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
export function parseLlamaConfig(json: unknown, { name, skippedLayers }: LlamaConfigOptions): LlamaConfig {
  const path = `${name}/config.json`;
  const config = parseConfig(LLAMA_CONFIG, json, { className: "LlamaModel", path });
  const { hidden_size: features, num_attention_heads: heads } = config;
  const keyHeads = config.num_key_value_heads ?? heads;
  const headDim = config.head_dim ?? features / heads;
  const refuse = (rule: string, value: unknown) => {
    throw new CheckpointError(`Cannot use ${path} as ${rule}: current value is ${value}`);
  };
  if (features % heads !== 0) refuse(`'hidden_size' must be a multiple of the ${heads} heads`, features);
  if (heads % keyHeads !== 0) refuse(`'num_key_value_heads' must divide the ${heads} heads`, keyHeads);
  if (headDim % 2 !== 0) refuse("'head_dim' must be even", headDim);
  if (config.num_hidden_layers < skippedLayers) {
    refuse(`'num_hidden_layers' must be at least ${skippedLayers}`, config.num_hidden_layers);
  }
  const scaling = config.rope_parameters ?? config.rope_scaling ?? { rope_type: "default" };
  return {
    vocabSize: config.vocab_size,
    hiddenSize: features,
    intermediateSize: config.intermediate_size,
    numHiddenLayers: config.num_hidden_layers,
    numAttentionHeads: heads,
    numKeyValueHeads: keyHeads,
    headDim,
    hiddenAct: config.hidden_act,
    rmsNormEps: config.rms_norm_eps,
    attentionBias: config.attention_bias,
    mlpBias: config.mlp_bias,
    inverseFrequencies: inverseFrequencies(headDim, {
      theta: scaling.rope_theta ?? config.rope_theta ?? DEFAULT_THETA,
      scaling,
    }),
  };
}

/** transformers' ROPE_INIT_FUNCTIONS. */
function inverseFrequencies(headDim: number, { theta, scaling }: { theta: number; scaling: Rope }): number[] {
  const plain = Array.from({ length: headDim / 2 }, (_, i) => 1 / theta ** (2 * i / headDim));
  switch (scaling.rope_type) {
    case "default":
      return plain;
    case "linear":
      return plain.map((frequency) => frequency / scaling.factor);
    case "llama3": {
      const {
        factor,
        low_freq_factor: low,
        high_freq_factor: high,
        original_max_position_embeddings: trained,
      } = scaling;
      // Keeps waves with many periods in the trained context and stretches waves with less than one.
      return plain.map((frequency) => {
        const turns = trained * frequency / (2 * Math.PI);
        const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)));
        return frequency * (kept + (1 - kept) / factor);
      });
    }
    default:
      return scaling satisfies never;
  }
}
