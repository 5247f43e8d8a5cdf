// Encodes prompts for FLUX: CLIP's pooled output and T5's states (FluxPipeline.encode_prompt).
import type { LoadedText, PromptToEncode } from "../../pipeline/family.ts";
import { encodeText } from "../../text/encode_text.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";
import { leastCut } from "../../text/text_cut.ts";
import type { FluxCheckpoint } from "./flux_checkpoint.ts";

export async function encodeFluxPrompt(
  { text, maxSequenceLength, signal }: PromptToEncode,
  { runtime, encoders: { clip, t5 } }: LoadedText<FluxCheckpoint>,
): Promise<EncodedPrompt> {
  const run = { runtime, text, signal };
  const pooled = await encodeText(clip, { ...run, maxLength: clip.tokenizer.modelMaxLength });
  const states = await encodeText(t5, { ...run, maxLength: maxSequenceLength });
  return {
    tokens: maxSequenceLength,
    embeds: states.outputs["last_hidden_state"]!,
    pooled: pooled.outputs["pooled_output"]!,
    cut: leastCut(pooled.cut, states.cut),
  };
}
