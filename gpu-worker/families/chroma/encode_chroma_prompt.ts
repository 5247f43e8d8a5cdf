// Encodes prompts for Chroma: T5's states, and which tokens count (ChromaPipeline.encode_prompt).
import type { LoadedText, PromptToEncode } from "../../pipeline/family.ts";
import { encodeText } from "../../text/encode_text.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";
import type { ChromaCheckpoint } from "./chroma_checkpoint.ts";

export async function encodeChromaPrompt(
  { text, maxSequenceLength, signal }: PromptToEncode,
  { runtime, encoders: { t5 } }: LoadedText<ChromaCheckpoint>,
): Promise<EncodedPrompt> {
  const { outputs: { last_hidden_state, attention_mask }, cut } = await encodeText(t5, {
    runtime,
    text,
    maxLength: maxSequenceLength,
    signal,
  });
  const own = attention_mask!.reduce((sum, isToken) => sum + isToken, 0);
  // The network was trained with one token of padding.
  const mask = Float32Array.from(attention_mask!, (_, i) => i <= own ? 1 : 0);
  return { tokens: maxSequenceLength, embeds: last_hidden_state!, pooled: new Float32Array(), mask, cut };
}
