// Encodes prompts with weights, and prompts that are longer than CLIP's 77 tokens: in chunks, each
// with its own begin and end.
import type { Runtime } from "../runtime/mod.ts";
import { encodeIds, type LoadedEncoder } from "./encode_text.ts";
import { parsePromptWeights, weighStates } from "./prompt_weights.ts";
import type { TextCut } from "./text_cut.ts";

export interface EncodeChunksOptions {
  runtime: Runtime;
  text: string;
  /** Tokens of a chunk, special ones included. */
  maxLength: number;
  /** Name of the encoder's output that holds the tokens' states. */
  states: string;
  /** Whether brackets are weights, and the word BREAK begins a chunk where the text may take several. */
  weights: boolean;
  /** Whether the text may take several chunks. If not, it is cut after the first. */
  long: boolean;
  signal?: AbortSignal | undefined;
}

export interface EncodedChunks {
  /** States of each chunk, [maxLength, features]. */
  states: Float32Array[];
  /** The first chunk's text_embeds, from encoders that have them. */
  pooled: Float32Array | undefined;
  cut: TextCut;
}

export async function encodeChunks(
  encoder: LoadedEncoder,
  { runtime, text, maxLength, states, weights, long, signal }: EncodeChunksOptions,
): Promise<EncodedChunks> {
  const { tokenizer } = encoder;
  const frame = await tokenizer.frame();
  const room = maxLength - frame.before.length - frame.after.length;
  const chunks: { id: number; weight: number }[][] = [[]];
  let dropped = 0;
  for (const part of weights ? parsePromptWeights(text, { breaks: long }) : [{ text, weight: 1 }]) {
    if (part.startsChunk) chunks.push([]);
    for (const id of await tokenizer.textIds(part.text)) {
      if (chunks.at(-1)!.length === room) {
        if (long) chunks.push([]);
        else {
          dropped++;
          continue;
        }
      }
      chunks.at(-1)!.push({ id, weight: part.weight });
    }
  }
  if (chunks.length > 1 && chunks.at(-1)!.length === 0) chunks.pop();
  const result: EncodedChunks = {
    states: [],
    pooled: undefined,
    cut: { dropped, limit: maxLength },
  };
  for (const part of chunks) {
    const padding = Array<number>(room - part.length).fill(frame.pad);
    const ids = [...frame.before, ...part.map(({ id }) => id), ...frame.after, ...padding];
    const own = [...frame.before.map(() => 1), ...part.map(({ weight }) => weight)];
    const attentionMask = ids.map((_, index) => index < maxLength - padding.length ? 1 : 0);
    const outputs = await encodeIds(encoder, { runtime, ids, attentionMask, signal });
    result.states.push(weighStates(outputs[states]!, ids.map((_, index) => own[index] ?? 1)));
    result.pooled ??= outputs["text_embeds"];
  }
  return result;
}
