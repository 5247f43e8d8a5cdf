// Encodes prompts for Qwen-Image-2.1: Qwen3-VL's states after its last layer, inside a template
// (QwenImage21Pipeline.encode_prompt).
import type { LoadedText, PromptToEncode } from "../../pipeline/family.ts";
import { encodeText } from "../../text/encode_text.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";
import type { QwenImage21Checkpoint } from "./qwen_image21_checkpoint.ts";

/**
 * The template that the network was trained with, word for word. The states of its first message are dropped.
 */
const SYSTEM = "<|im_start|>system\nComprehend and analyze the provided prompt.<|im_end|>\n";
const BEFORE_PROMPT = "<|im_start|>user\n";
const AFTER_PROMPT = "<|im_end|>\n<|im_start|>assistant\n";
/** Number of tokens of AFTER_PROMPT. */
const AFTER_TOKENS = 5;
/** More tokens than SYSTEM has bytes. */
const SYSTEM_ROOM = 128;

/** Encodes a prompt without padding. A prompt that is too long is cut together with the template's end. */
export async function encodeQwenImage21Prompt(
  { text, maxSequenceLength, signal }: PromptToEncode,
  { runtime, encoders: { qwen }, reading }: LoadedText<QwenImage21Checkpoint>,
): Promise<EncodedPrompt> {
  const { contextInDim: features } = reading.config;
  const system = await qwen.tokenizer.encode(SYSTEM, { maxLength: SYSTEM_ROOM });
  const dropped = system.attentionMask.reduce((sum, isToken) => sum + isToken, 0);
  const { outputs: { hidden_state }, cut } = await encodeText(qwen, {
    runtime,
    signal,
    // Like diffusers: an empty prompt is a space.
    text: `${SYSTEM}${BEFORE_PROMPT}${text === "" ? " " : text}${AFTER_PROMPT}`,
    maxLength: dropped + maxSequenceLength,
    withoutPadding: true,
  });
  const embeds = hidden_state!.slice(dropped * features);
  return {
    tokens: embeds.length / features,
    embeds,
    pooled: new Float32Array(),
    // The template's end is cut off first.
    cut: { dropped: Math.max(0, cut.dropped - AFTER_TOKENS), limit: maxSequenceLength },
  };
}
