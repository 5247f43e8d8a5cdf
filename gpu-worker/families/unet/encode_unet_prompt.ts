// Encodes prompts for Stable Diffusion and SDXL: the CLIP states of one encoder or two
// (encode_prompt of their pipelines).
import type { LoadedText, PromptToEncode } from "../../pipeline/family.ts";
import { encodeText } from "../../text/encode_text.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";
import { joinFeatures } from "../../text/join_features.ts";
import { leastCut, type TextCut } from "../../text/text_cut.ts";
import type { UNetCheckpoint } from "./unet_checkpoint.ts";

/** Encodes one prompt. The pooled vector is empty if no encoder has a projection. */
export async function encodeUnetPrompt(
  { text, signal }: Pick<PromptToEncode, "text" | "signal">,
  { runtime, encoders, reading: { textEncoders } }: Omit<LoadedText<UNetCheckpoint>, "reading"> & {
    reading: Pick<UNetCheckpoint, "textEncoders">;
  },
): Promise<EncodedPrompt> {
  // The encoders' states are joined token by token, so the first encoder's length applies to all.
  const maxLength = encoders[textEncoders[0]!.name]!.tokenizer.modelMaxLength;
  const parts: Float32Array[] = [];
  const cuts: TextCut[] = [];
  let pooled: Float32Array = new Float32Array(0);
  for (const { name, states } of textEncoders) {
    const { outputs, cut } = await encodeText(encoders[name]!, { runtime, text, maxLength, signal });
    parts.push(outputs[states]!);
    cuts.push(cut);
    pooled = outputs["text_embeds"] ?? pooled;
  }
  const cut = leastCut(cuts[0]!, ...cuts.slice(1));
  return { tokens: maxLength, embeds: joinFeatures(parts, { tokens: maxLength }), pooled, cut };
}

/** Returns zeros in the prompt's shape, which SDXL uses for a missing negative prompt. */
export function zeroPrompt({ tokens, embeds, pooled }: EncodedPrompt): EncodedPrompt {
  return { tokens, embeds: embeds.map(() => 0), pooled: pooled.map(() => 0) };
}
