// Encodes prompts for Qwen-Image: Qwen2.5-VL's last states inside a template
// (QwenImagePipeline.encode_prompt).
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import type { LoadedText, PromptToEncode } from "../../pipeline/family.ts";
import { encodeText } from "../../text/encode_text.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";
import type { QwenImageCheckpoint } from "./qwen_image_checkpoint.ts";

/** The template that the network was trained with, word for word. */
const BEFORE_PROMPT = "<|im_start|>system\n" +
  "Describe the image by detailing the color, shape, size, texture, quantity, text, " +
  "spatial relationships of the objects and background:" +
  "<|im_end|>\n<|im_start|>user\n";
const AFTER_PROMPT = "<|im_end|>\n<|im_start|>assistant\n";
/** Number of tokens of AFTER_PROMPT. */
const AFTER_TOKENS = 5;
/** Number of tokens of BEFORE_PROMPT in Qwen's tokenizer; their states are dropped. */
const CROP_START = 34;

/**
 * Encodes a prompt without padding. Like diffusers, it cuts a prompt that is too long together
 * with the template's end.
 * @throws {CheckpointError} if the tokenizer is not Qwen's and nothing is left after the crop.
 */
export async function encodeQwenImagePrompt(
  { text, maxSequenceLength, signal }: PromptToEncode,
  { runtime, encoders: { qwen }, reading }: LoadedText<QwenImageCheckpoint>,
): Promise<EncodedPrompt> {
  const { jointAttentionDim: features } = reading.config;
  const { outputs, cut } = await encodeText(qwen, {
    runtime,
    signal,
    text: `${BEFORE_PROMPT}${text}${AFTER_PROMPT}`,
    maxLength: CROP_START + maxSequenceLength,
    withoutPadding: true,
  });
  const hidden = outputs["hidden_state"]!;
  const embeds = hidden.slice(CROP_START * features);
  if (embeds.length === 0) {
    throw new CheckpointError(
      `Cannot encode a prompt as its template must have more than ${CROP_START} tokens: ` +
        `the checkpoint's tokenizer gives ${hidden.length / features}`,
    );
  }
  // The template's end is cut off first.
  const dropped = Math.max(0, cut.dropped - AFTER_TOKENS);
  return {
    tokens: embeds.length / features,
    embeds,
    pooled: new Float32Array(),
    cut: { dropped, limit: maxSequenceLength },
  };
}
