// Prompts for Stable Diffusion 3: the states of both CLIP encoders side by side, then T5's
// (StableDiffusion3Pipeline.encode_prompt).
import type { LoadedText, PromptToEncode } from "../../pipeline/family.ts";
import { encodeText } from "../../text/encode_text.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";
import { joinFeatures } from "../../text/join_features.ts";
import type { Sd3Checkpoint } from "./sd3_checkpoint.ts";

export async function encodeSd3Prompt(
  { text, maxSequenceLength, signal }: PromptToEncode,
  { runtime, encoders: { clip, clip2, t5 }, reading }: LoadedText<Sd3Checkpoint>,
): Promise<EncodedPrompt> {
  const { jointAttentionDim: width } = reading.config;
  // Both CLIP encoders' states stand side by side, so the first one's length holds for both.
  const clipTokens = clip.tokenizer.modelMaxLength;
  const run = { runtime, text, signal };
  const first = await encodeText(clip, { ...run, maxLength: clipTokens });
  const second = await encodeText(clip2, { ...run, maxLength: clipTokens });
  const states = [first, second].map((outputs) => outputs["penultimate_hidden_state"]!);
  const pooled = [first, second].map((outputs) => outputs["text_embeds"]!);
  // Where a checkpoint goes without T5, its tokens are zeros.
  const t5Outputs = t5 && await encodeText(t5, { ...run, maxLength: maxSequenceLength });

  const embeds = new Float32Array((clipTokens + maxSequenceLength) * width);
  embeds.set(joinFeatures(states, { tokens: clipTokens, width }));
  if (t5Outputs) embeds.set(t5Outputs["last_hidden_state"]!, clipTokens * width);
  return {
    tokens: clipTokens + maxSequenceLength,
    embeds,
    pooled: joinFeatures(pooled, { tokens: 1 }),
  };
}
