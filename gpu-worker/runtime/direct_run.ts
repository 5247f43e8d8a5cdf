// A run whose outputs have their places already: one call of the C API, with nothing to bind, allocate or take over.
import type { NativeHandle } from "./native_handle.ts";
import { addressOf, cString } from "./ort_api.ts";
import type { RuntimeContext } from "./runtime_context.ts";
import type { Tensor } from "./tensor.ts";
import { withRunOptions } from "./with_run_options.ts";

export interface DirectRunInit {
  context: RuntimeContext;
  session: NativeHandle;
  inputs: NativeNames;
  outputs: NativeNames;
  /** By name; more than `inputs` and `outputs` name are left alone. */
  tensors: { inputs: Readonly<Record<string, Tensor>>; outputs: Readonly<Record<string, Tensor>> };
  signal: AbortSignal | undefined;
  /** Whether to run on the calling thread, where a signal cannot reach it. */
  blocking: boolean;
}

/** Names as C wants them, for as long as this object lives. */
export class NativeNames {
  readonly names: readonly string[];
  readonly #strings: Uint8Array<ArrayBuffer>[];
  readonly #pointers: BigUint64Array<ArrayBuffer>;
  /** Of the first of the pointers to them. */
  readonly address: bigint;

  constructor(names: readonly string[]) {
    this.names = names;
    this.#strings = names.map(cString);
    this.#pointers = BigUint64Array.from(this.#strings, addressOf);
    this.address = addressOf(this.#pointers);
  }
}

/** Calls under way: native code looks at their memory, so it must not be collected. */
const underWay = new Set<object>();

/** @throws {OrtError} if the graph fails, or is ended by the signal. */
export async function runDirectly(init: DirectRunInit): Promise<void> {
  const { context: { api }, session, inputs, outputs, tensors, signal, blocking } = init;
  const feeds = inputs.names.map((name) => tensors.inputs[name]!.handle);
  const results = outputs.names.map((name) => tensors.outputs[name]!.handle);
  const feedPointers = BigUint64Array.from(feeds, ({ pointer }) => pointer);
  const resultPointers = BigUint64Array.from(results, ({ pointer }) => pointer);
  const argumentsFor = (options: bigint) =>
    [
      session.pointer,
      options,
      inputs.address,
      addressOf(feedPointers),
      feeds.length,
      outputs.address,
      results.length,
      addressOf(resultPointers),
    ] as [bigint, bigint, bigint, bigint, number, bigint, number, bigint];
  if (blocking) return api.RunBlocking(...argumentsFor(0n));

  // Whoever disposes of them in the meantime does so in effect after the run.
  const used = [session, ...feeds, ...results];
  for (const handle of used) handle.retain();
  const call = { inputs, outputs, feedPointers, resultPointers };
  underWay.add(call);
  try {
    await withRunOptions(api, signal, (options) => api.Run(...argumentsFor(options)));
  } finally {
    underWay.delete(call);
    for (const handle of used) handle.release();
  }
}
