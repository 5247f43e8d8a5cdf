// Prompts for Stable Diffusion and SDXL: CLIP states of one encoder or two (encode_prompt of their pipelines).
import type { LoadedText, PromptToEncode } from "../../pipeline/family.ts";
import { encodeText } from "../../text/encode_text.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";
import { joinFeatures } from "../../text/join_features.ts";
import type { UNetCheckpoint } from "./unet_checkpoint.ts";

/** The pooled vector is empty where no encoder projects. */
export async function encodeUnetPrompt(
  { text, signal }: Pick<PromptToEncode, "text" | "signal">,
  { runtime, encoders, reading: { textEncoders } }: Omit<LoadedText<UNetCheckpoint>, "reading"> & {
    reading: Pick<UNetCheckpoint, "textEncoders">;
  },
): Promise<EncodedPrompt> {
  // Both encoders' states stand side by side, so the first one's length holds for all.
  const maxLength = encoders[textEncoders[0]!.name]!.tokenizer.modelMaxLength;
  const parts: Float32Array[] = [];
  let pooled: Float32Array = new Float32Array(0);
  for (const { name, states } of textEncoders) {
    const outputs = await encodeText(encoders[name]!, { runtime, text, maxLength, signal });
    parts.push(outputs[states]!);
    pooled = outputs["text_embeds"] ?? pooled;
  }
  return { tokens: maxLength, embeds: joinFeatures(parts, { tokens: maxLength }), pooled };
}

/** What SDXL takes for a negative prompt that is not given. */
export function zeroPrompt({ tokens, embeds, pooled }: EncodedPrompt): EncodedPrompt {
  return { tokens, embeds: embeds.map(() => 0), pooled: pooled.map(() => 0) };
}
