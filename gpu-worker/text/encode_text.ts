// One run of a text encoder, from text to what its graph returns.
import type { Runtime } from "../runtime/mod.ts";
import type { GraphSession } from "../session/session_loader.ts";
import type { Tokenizer } from "./tokenizer/tokenizer.ts";

/** A text encoder on the device, and the tokenizer that its checkpoint pairs it with. */
export interface LoadedEncoder {
  session: GraphSession;
  tokenizer: Tokenizer;
}

export interface EncodeTextOptions {
  runtime: Runtime;
  text: string;
  /** Tokens that the text is padded or cut to. */
  maxLength: number;
  /** Leaves padding out, as if the text were the only one: for encoders in which no token sees it. @default false */
  withoutPadding?: boolean;
  signal?: AbortSignal | undefined;
}

/** @returns every output of the encoder's graph, the batch of one left out, in memory of its own */
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
