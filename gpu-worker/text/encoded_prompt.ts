/** What the text encoders of a family make of one prompt, on the host. */
export interface EncodedPrompt {
  /** Tokens, padding included. */
  tokens: number;
  /** One row for each token, [tokens, joint_attention_dim or cross_attention_dim]. */
  embeds: Float32Array;
  /** The prompt as one vector, [pooled_projection_dim]. */
  pooled: Float32Array;
}

export interface EncodePromptOptions {
  /** Tokens that the T5 prompt is padded or cut to. */
  maxSequenceLength: number;
  signal?: AbortSignal;
}
