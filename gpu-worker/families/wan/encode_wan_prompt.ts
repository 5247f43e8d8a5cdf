// Encodes prompts for Wan: UMT5's states of the cleaned text, then zeros (WanPipeline.encode_prompt).
import type { LoadedText, PromptToEncode } from "../../pipeline/family.ts";
import { encodeText } from "../../text/encode_text.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";
import { cleanPrompt } from "./clean_prompt.ts";
import type { WanCheckpoint } from "./wan_checkpoint.ts";

export async function encodeWanPrompt(
  { text, maxSequenceLength, signal }: PromptToEncode,
  { runtime, encoders: { t5 }, reading }: LoadedText<WanCheckpoint>,
): Promise<EncodedPrompt> {
  // diffusers masks the padding and then overwrites it, which equals leaving it out.
  const { outputs, cut } = await encodeText(t5, {
    runtime,
    text: cleanPrompt(text),
    maxLength: maxSequenceLength,
    withoutPadding: true,
    signal,
  });
  const embeds = new Float32Array(maxSequenceLength * reading.config.textDim);
  embeds.set(outputs["last_hidden_state"]!);
  return { tokens: maxSequenceLength, embeds, pooled: new Float32Array(), cut };
}
