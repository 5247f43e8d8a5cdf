// Encodes prompts for FLUX: CLIP's pooled output and T5's states (FluxPipeline.encode_prompt).
import type { LoadedText, PromptToEncode } from "../../pipeline/family.ts";
import { encodeText } from "../../text/encode_text.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";
import type { FluxCheckpoint } from "./flux_checkpoint.ts";

export async function encodeFluxPrompt(
  { text, maxSequenceLength, signal }: PromptToEncode,
  { runtime, encoders: { clip, t5 } }: LoadedText<FluxCheckpoint>,
): Promise<EncodedPrompt> {
  const run = { runtime, text, signal };
  const { pooled_output } = await encodeText(clip, { ...run, maxLength: clip.tokenizer.modelMaxLength });
  const { last_hidden_state } = await encodeText(t5, { ...run, maxLength: maxSequenceLength });
  return { tokens: maxSequenceLength, embeds: last_hidden_state!, pooled: pooled_output! };
}
