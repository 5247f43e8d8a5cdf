// Runs a text encoder: from text to its graph's outputs.
import type { Runtime } from "../runtime/mod.ts";
import type { GraphSession } from "../session/session_loader.ts";
import type { Tokenizer } from "./tokenizer/tokenizer.ts";

/** A text encoder on the device, and the checkpoint's tokenizer for it. */
export interface LoadedEncoder {
  session: GraphSession;
  tokenizer: Tokenizer;
}

export interface EncodeTextOptions {
  runtime: Runtime;
  text: string;
  /** Number of tokens that the text is padded or cut to. */
  maxLength: number;
  /** Leaves out padding. For encoders in which no token attends to padding. @default false */
  withoutPadding?: boolean;
  signal?: AbortSignal | undefined;
}

/** Returns every output of the encoder's graph, without the batch dimension, in its own memory. */
export async function encodeText(
  { session, tokenizer }: LoadedEncoder,
  { runtime, text, maxLength, withoutPadding = false, signal }: EncodeTextOptions,
): Promise<Record<string, Float32Array>> {
  const { ids: padded, attentionMask } = await tokenizer.encode(text, { maxLength });
  const ids = withoutPadding ? padded.filter((_, i) => attentionMask[i] === 1) : padded;
  using stack = new DisposableStack();
  const input = stack.use(runtime.tensor("int64", [1, ids.length], BigInt64Array.from(ids, BigInt)));
  const results = Object.entries(await session.run({ input_ids: input }, signal && { signal }));
  for (const [, tensor] of results) stack.use(tensor);
  const outputs: Record<string, Float32Array> = {};
  for (const [name, tensor] of results) outputs[name] = await tensor.as("float32").toArray();
  return outputs;
}
