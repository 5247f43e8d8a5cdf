// Encodes prompts for Z-Image: Qwen3's states of a conversation's first message
// (ZImagePipeline.encode_prompt).
import type { LoadedText, PromptToEncode } from "../../pipeline/family.ts";
import { encodeText } from "../../text/encode_text.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";
import { qwenChat } from "../../text/qwen_chat.ts";
import type { ZImageCheckpoint } from "./z_image_checkpoint.ts";

export async function encodeZImagePrompt(
  { text, maxSequenceLength, signal }: PromptToEncode,
  { runtime, encoders: { qwen }, reading }: LoadedText<ZImageCheckpoint>,
): Promise<EncodedPrompt> {
  // diffusers masks the padding and then drops it, which equals leaving it out.
  const { outputs, cut } = await encodeText(qwen, {
    runtime,
    text: qwenChat(text, { thinking: true }),
    maxLength: maxSequenceLength,
    withoutPadding: true,
    signal,
  });
  const embeds = outputs["hidden_state"]!;
  return { tokens: embeds.length / reading.config.capFeatDim, embeds, pooled: new Float32Array(), cut };
}
