// Runs a text encoder: from text to its graph's outputs.
import type { Runtime } from "../runtime/mod.ts";
import type { GraphSession } from "../session/session_loader.ts";
import { type HostTensor, hostTensor } from "./host_tensor.ts";
import type { TextCut } from "./text_cut.ts";
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

export interface EncodedText {
  /**
   * Every output of the encoder's graph, without the batch dimension, in its own memory.
   * attention_mask is added to them, [tokens]: 1 for tokens of the text, 0 for padding.
   */
  outputs: Record<string, Float32Array>;
  cut: TextCut;
}

export async function encodeText(
  { session, tokenizer }: LoadedEncoder,
  { runtime, text, maxLength, withoutPadding = false, signal }: EncodeTextOptions,
): Promise<EncodedText> {
  const { ids: padded, attentionMask, dropped } = await tokenizer.encode(text, { maxLength });
  const kept = (values: number[]) =>
    withoutPadding ? values.filter((_, i) => attentionMask[i] === 1) : values;
  const ids = kept(padded);
  const mask = kept(attentionMask);
  const outputs = await encodeIds({ session }, { runtime, ids, attentionMask: mask, signal });
  return { outputs, cut: { dropped, limit: maxLength } };
}

export interface EncodeIdsOptions extends Pick<EncodeTextOptions, "runtime" | "signal"> {
  ids: readonly number[];
  /** 1 for tokens of the text, 0 for padding. */
  attentionMask: readonly number[];
  /** Further inputs of the graph, by name. @default none */
  inputs?: Readonly<Record<string, HostTensor>>;
}

/** Returns the outputs as `EncodedText` has them. */
export async function encodeIds(
  { session }: Pick<LoadedEncoder, "session">,
  { runtime, ids, attentionMask, inputs = {}, signal }: EncodeIdsOptions,
): Promise<Record<string, Float32Array>> {
  using stack = new DisposableStack();
  const row = (values: readonly number[]) =>
    stack.use(runtime.tensor("int64", [1, values.length], BigInt64Array.from(values, BigInt)));
  const further = Object.entries(inputs).map(([name, tensor]) =>
    [name, stack.use(hostTensor(runtime, tensor))] as const
  );
  const feeds = {
    ...Object.fromEntries(further),
    input_ids: row(ids),
    ...session.inputNames.includes("attention_mask") && { attention_mask: row(attentionMask) },
  };
  const results = Object.entries(await session.run(feeds, signal && { signal }));
  for (const [, tensor] of results) stack.use(tensor);
  const outputs: Record<string, Float32Array> = { attention_mask: Float32Array.from(attentionMask) };
  for (const [name, tensor] of results) outputs[name] = await tensor.as("float32").toArray();
  return outputs;
}
