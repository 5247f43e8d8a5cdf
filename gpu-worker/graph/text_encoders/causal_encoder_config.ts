// The options that all decoders share which serve as text encoders: LLaMA's and Qwen's.
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import type { ActivationName } from "../layers/dense/activation.ts";
import { inverseFrequencies, type RotaryConfig } from "./rotary_frequencies.ts";

/** A decoder's options in camelCase, and sizes derived from them. */
export interface CausalEncoderConfig {
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
  /** Attention's layers with a bias: queries, keys and values; and the layer after attention. */
  attentionBias: { inputs: boolean; output: boolean };
  /** Whether queries and keys are normed per head. */
  queryKeyNorm: boolean;
  mlpBias: boolean;
  /** Angle of each pair of channels from one position to the next, [headDim / 2]. */
  inverseFrequencies: number[];
}

/** The options under their names in a config.json. */
export interface CausalEncoderOptions extends RotaryConfig {
  vocab_size: number;
  hidden_size: number;
  intermediate_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  num_key_value_heads?: number | null | undefined;
  head_dim?: number | null | undefined;
  hidden_act: ActivationName;
  rms_norm_eps: number;
}

export interface ArchitectureFacts extends Pick<CausalEncoderConfig, "attentionBias" | "queryKeyNorm"> {
  /** The config's path, for errors. */
  path: string;
  mlpBias?: boolean;
  /** Base of the rotary frequencies if the config has none. */
  defaultTheta: number;
}

/** Derives the sizes. @throws {CheckpointError} naming the option that contradicts another. */
export function causalEncoderConfig(
  config: CausalEncoderOptions,
  { path, attentionBias, queryKeyNorm, mlpBias = false, defaultTheta }: ArchitectureFacts,
): CausalEncoderConfig {
  const { hidden_size: features, num_attention_heads: heads } = config;
  const keyHeads = config.num_key_value_heads ?? heads;
  const headDim = config.head_dim ?? features / heads;
  const refuse = (rule: string, value: unknown) => {
    throw new CheckpointError(`Cannot use ${path} as ${rule}: current value is ${value}`);
  };
  if (!Number.isInteger(headDim)) refuse(`'hidden_size' must be a multiple of the ${heads} heads`, features);
  if (heads % keyHeads !== 0) refuse(`'num_key_value_heads' must divide the ${heads} heads`, keyHeads);
  if (headDim % 2 !== 0) refuse("'head_dim' must be even", headDim);
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
    attentionBias,
    queryKeyNorm,
    mlpBias,
    inverseFrequencies: inverseFrequencies(config, { headDim, defaultTheta }),
  };
}
