// Encodes prompts for FLUX.2 klein: states of three of Qwen3's layers, padding included
// (Flux2KleinPipeline.encode_prompt).
import type { LoadedText, PromptToEncode } from "../../pipeline/family.ts";
import { encodeText } from "../../text/encode_text.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";
import { qwenChat } from "../../text/qwen_chat.ts";
import type { Flux2Checkpoint } from "./flux2_checkpoint.ts";

export async function encodeFlux2Prompt(
  { text, maxSequenceLength, signal }: PromptToEncode,
  { runtime, encoders: { qwen } }: LoadedText<Flux2Checkpoint>,
): Promise<EncodedPrompt> {
  const { outputs, cut } = await encodeText(qwen, {
    runtime,
    text: qwenChat(text, { thinking: false }),
    maxLength: maxSequenceLength,
    signal,
  });
  return { tokens: maxSequenceLength, embeds: outputs["hidden_state"]!, pooled: new Float32Array(), cut };
}
