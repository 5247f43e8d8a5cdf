// Encodes prompts for HunyuanVideo: LLaMA's states inside a template, and CLIP's pooled output
// (HunyuanVideoPipeline.encode_prompt).
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import type { LoadedText, PromptToEncode } from "../../pipeline/family.ts";
import { encodeText } from "../../text/encode_text.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";
import { leastCut } from "../../text/text_cut.ts";
import type { HunyuanVideoCheckpoint } from "./hunyuan_video_checkpoint.ts";

/**
 * The template that the network was trained with, word for word. It asks LLaMA to describe a
 * video before it reads the prompt.
 */
const BEFORE_PROMPT = "<|start_header_id|>system<|end_header_id|>\n\n" +
  "Describe the video by detailing the following aspects: 1. The main content and theme of the video." +
  "2. The color, shape, size, texture, quantity, text, and spatial relationships of the objects." +
  "3. Actions, events, behaviors temporal relationships, physical movement changes of the objects." +
  "4. background environment, light, style and atmosphere." +
  "5. camera angles, movements, and transitions used in the video:<|eot_id|>" +
  "<|start_header_id|>user<|end_header_id|>\n\n";
const AFTER_PROMPT = "<|eot_id|>";
/** Number of tokens of BEFORE_PROMPT in LLaMA 3's tokenizer; their states are dropped. */
const CROP_START = 95;
/** The pipeline's limit for CLIP, which overrides the tokenizer's. */
export const CLIP_TOKENS = 77;

/**
 * Encodes a prompt without padding. diffusers pads the prompt, but masks the
 * padding wherever it could be seen.
 * @throws {CheckpointError} if the tokenizer is not LLaMA 3's and nothing is left after the crop.
 */
export async function encodeHunyuanVideoPrompt(
  { text, maxSequenceLength, signal }: PromptToEncode,
  { runtime, encoders: { llama, clip }, reading }: LoadedText<HunyuanVideoCheckpoint>,
): Promise<EncodedPrompt> {
  const { textEmbedDim: features } = reading.config;
  const states = await encodeText(llama, {
    runtime,
    signal,
    text: `${BEFORE_PROMPT}${text}${AFTER_PROMPT}`,
    maxLength: CROP_START + maxSequenceLength,
    withoutPadding: true,
  });
  const pooled = await encodeText(clip, { runtime, signal, text, maxLength: CLIP_TOKENS });
  const hidden = states.outputs["hidden_state"]!;
  const embeds = hidden.slice(CROP_START * features);
  if (embeds.length === 0) {
    throw new CheckpointError(
      `Cannot encode a prompt as its template must have more than ${CROP_START} tokens: ` +
        `the checkpoint's tokenizer gives ${hidden.length / features}`,
    );
  }
  // The template's end is cut off first.
  const inTemplate = { dropped: Math.max(0, states.cut.dropped - 1), limit: maxSequenceLength };
  return {
    tokens: embeds.length / features,
    embeds,
    pooled: pooled.outputs["pooled_output"]!,
    cut: leastCut(inTemplate, pooled.cut),
  };
}
