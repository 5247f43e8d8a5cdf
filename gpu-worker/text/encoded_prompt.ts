import type { TextCut } from "./text_cut.ts";

/** One prompt as encoded by a family's text encoders, on the host. */
export interface EncodedPrompt {
  /** Number of tokens, including padding. */
  tokens: number;
  /** One row for each token, [tokens, joint_attention_dim or cross_attention_dim]. */
  embeds: Float32Array;
  /** The prompt as one vector, [pooled_projection_dim]. */
  pooled: Float32Array;
  /** 1 for each token that the denoiser may attend to in full, else 0: [tokens]. @default all are 1 */
  mask?: Float32Array;
  /** What no encoder has read. @default nothing was left out */
  cut?: TextCut;
}

export interface EncodePromptOptions {
  /** Number of tokens that the T5 prompt is padded or cut to. */
  maxSequenceLength: number;
  signal?: AbortSignal;
}
