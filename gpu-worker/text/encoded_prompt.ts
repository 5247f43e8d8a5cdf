import type { ReferenceImage } from "../request/references.ts";
import type { FrameImage } from "../request/video_frames.ts";
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
  /**
   * Tokens of the text before each reference, for networks whose references stand inside the text.
   * @default references stand behind the picture
   */
  referencePlaces?: readonly number[];
  /** The end of the prompt that no encoder has read. @default nothing was left out */
  cut?: TextCut;
}

export interface EncodePromptOptions {
  /** Number of tokens that the T5 prompt is padded or cut to. */
  maxSequenceLength: number;
  /** Whether brackets are weights. Only families whose rules have `clipPrompts`. @default false */
  promptWeights?: boolean | undefined;
  /** Whether the prompt is encoded in chunks instead of cut. As above. @default false */
  longPrompts?: boolean | undefined;
  /** The images that the prompt is about. @default none */
  references?: readonly ReferenceImage[] | undefined;
  /** The image that the video begins with, for encoders that see it. @default none */
  firstFrame?: FrameImage | undefined;
  signal?: AbortSignal;
}

/**
 * Lengthens a prompt to `tokens` with the encoding of an empty one, for a branch of guidance that is longer.
 */
export function lengthenPrompt(
  prompt: EncodedPrompt,
  { empty, tokens }: { empty: EncodedPrompt; tokens: number },
): EncodedPrompt {
  if (prompt.tokens === tokens) return prompt;
  const embeds = new Float32Array(prompt.embeds.length / prompt.tokens * tokens);
  embeds.set(prompt.embeds);
  for (let at = prompt.embeds.length; at < embeds.length; at += empty.embeds.length) {
    embeds.set(empty.embeds, at);
  }
  return { ...prompt, tokens, embeds };
}
