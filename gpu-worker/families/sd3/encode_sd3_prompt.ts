// Encodes prompts for Stable Diffusion 3: the joined states of both CLIP encoders, then T5's states
// (StableDiffusion3Pipeline.encode_prompt).
import type { LoadedText, PromptToEncode } from "../../pipeline/family.ts";
import { encodeText } from "../../text/encode_text.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";
import { joinFeatures } from "../../text/join_features.ts";
import { leastCut } from "../../text/text_cut.ts";
import type { Sd3Checkpoint } from "./sd3_checkpoint.ts";

export async function encodeSd3Prompt(
  { text, maxSequenceLength, signal }: PromptToEncode,
  { runtime, encoders: { clip, clip2, t5 }, reading }: LoadedText<Sd3Checkpoint>,
): Promise<EncodedPrompt> {
  const { jointAttentionDim: width } = reading.config;
  // The states of both CLIP encoders are joined token by token, so the first
  // encoder's length applies to both.
  const clipTokens = clip.tokenizer.modelMaxLength;
  const run = { runtime, text, signal };
  const first = await encodeText(clip, { ...run, maxLength: clipTokens });
  const second = await encodeText(clip2, { ...run, maxLength: clipTokens });
  const states = [first, second].map(({ outputs }) => outputs["penultimate_hidden_state"]!);
  const pooled = [first, second].map(({ outputs }) => outputs["text_embeds"]!);
  // Without T5 in the checkpoint, its tokens are zeros.
  const third = t5 && await encodeText(t5, { ...run, maxLength: maxSequenceLength });

  const embeds = new Float32Array((clipTokens + maxSequenceLength) * width);
  embeds.set(joinFeatures(states, { tokens: clipTokens, width }));
  if (third) embeds.set(third.outputs["last_hidden_state"]!, clipTokens * width);
  return {
    tokens: clipTokens + maxSequenceLength,
    embeds,
    pooled: joinFeatures(pooled, { tokens: 1 }),
    cut: leastCut(first.cut, second.cut, ...third ? [third.cut] : []),
  };
}
