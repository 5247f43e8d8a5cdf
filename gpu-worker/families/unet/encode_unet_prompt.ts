// Encodes prompts for Stable Diffusion and SDXL: the CLIP states of one encoder or two
// (encode_prompt of their pipelines).
import type { LoadedText, PromptToEncode } from "../../pipeline/family.ts";
import { encodeChunks, type EncodeChunksOptions, type EncodedChunks } from "../../text/encode_chunks.ts";
import { encodeText, type LoadedEncoder } from "../../text/encode_text.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";
import { joinFeatures } from "../../text/join_features.ts";
import { leastCut, type TextCut } from "../../text/text_cut.ts";
import type { UNetCheckpoint } from "./unet_checkpoint.ts";

/** Encodes one prompt. The pooled vector is empty if no encoder has a projection. */
export async function encodeUnetPrompt(
  { text, signal, promptWeights = false, longPrompts = false }: Omit<PromptToEncode, "maxSequenceLength">,
  { runtime, encoders, reading: { textEncoders } }: Omit<LoadedText<UNetCheckpoint>, "reading"> & {
    reading: Pick<UNetCheckpoint, "textEncoders">;
  },
): Promise<EncodedPrompt> {
  // The encoders' states are joined token by token, so the first encoder's length applies to all.
  const maxLength = encoders[textEncoders[0]!.name]!.tokenizer.modelMaxLength;
  if (promptWeights || longPrompts) {
    const chunks = textEncoders.map(({ name, states }) => ({ encoder: encoders[name]!, states }));
    return await encodeInChunks(chunks, { runtime, text, maxLength, promptWeights, longPrompts, signal });
  }
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

interface ChunkedEncoder {
  encoder: LoadedEncoder;
  /** Its output with the tokens' states. */
  states: string;
}

/**
 * Does encodeUnetPrompt()'s work chunk by chunk. An encoder that needs fewer chunks than another reads
 * an empty text in the rest.
 */
async function encodeInChunks(
  encoders: readonly ChunkedEncoder[],
  { promptWeights: weights, longPrompts: long, ...options }:
    & Pick<EncodeChunksOptions, "runtime" | "text" | "maxLength" | "signal">
    & { promptWeights: boolean; longPrompts: boolean },
): Promise<EncodedPrompt> {
  const encoded: EncodedChunks[] = [];
  for (const { encoder, states } of encoders) {
    encoded.push(await encodeChunks(encoder, { ...options, states, weights, long }));
  }
  const chunks = Math.max(...encoded.map(({ states }) => states.length));
  for (const [index, { states }] of encoded.entries()) {
    if (states.length === chunks) continue;
    const { encoder, states: name } = encoders[index]!;
    const empty = await encodeChunks(encoder, { ...options, text: "", states: name, weights, long });
    while (states.length < chunks) states.push(empty.states[0]!);
  }
  const { maxLength } = options;
  const rows = Array.from(
    { length: chunks },
    (_, chunk) => joinFeatures(encoded.map(({ states }) => states[chunk]!), { tokens: maxLength }),
  );
  const embeds = new Float32Array(rows.reduce((sum, { length }) => sum + length, 0));
  for (const [chunk, row] of rows.entries()) embeds.set(row, chunk * row.length);
  return {
    tokens: chunks * maxLength,
    embeds,
    pooled: encoded.map(({ pooled }) => pooled).findLast((pooled) => pooled !== undefined) ??
      new Float32Array(0),
    cut: leastCut(encoded[0]!.cut, ...encoded.slice(1).map(({ cut }) => cut)),
  };
}

/** Returns zeros in the prompt's shape, which SDXL uses for a missing negative prompt. */
export function zeroPrompt({ tokens, embeds, pooled }: EncodedPrompt): EncodedPrompt {
  return { tokens, embeds: embeds.map(() => 0), pooled: pooled.map(() => 0) };
}
