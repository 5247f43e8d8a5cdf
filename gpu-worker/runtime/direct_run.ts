// A run whose outputs have their places already: one call of the C API, with nothing to bind, allocate or take over.
import type { CStrings } from "./c_strings.ts";
import { graphError } from "./graph_error.ts";
import type { NativeHandle } from "./native_handle.ts";
import { addressOf } from "./ort_api.ts";
import type { RuntimeContext } from "./runtime_context.ts";
import type { Tensor } from "./tensor.ts";
import { withRunOptions } from "./with_run_options.ts";

export interface DirectRunInit {
  context: RuntimeContext;
  /** Name of the graph. */
  graph: string;
  session: NativeHandle;
  inputs: CStrings;
  outputs: CStrings;
  /** By name; more than `inputs` and `outputs` name are left alone. */
  tensors: { inputs: Readonly<Record<string, Tensor>>; outputs: Readonly<Record<string, Tensor>> };
}

/** Runs under way: native code looks at their memory, so it must not be collected. */
const underWay = new Set<DirectRun>();

/** Made by `Session.prepare`; it keeps session and tensors alive. Changed contents of the tensors count. */
export class DirectRun implements Disposable {
  readonly #context: RuntimeContext;
  readonly #graph: string;
  readonly #session: bigint;
  readonly #inputs: CStrings;
  readonly #outputs: CStrings;
  readonly #feedPointers: BigUint64Array<ArrayBuffer>;
  readonly #resultPointers: BigUint64Array<ArrayBuffer>;
  readonly #addresses: { feeds: bigint; results: bigint };
  readonly #used: readonly NativeHandle[];
  /** Runs under way. */
  #runs = 0;
  #isDisposed = false;

  /**
   * For `Session`, which has checked the tensors.
   * @internal
   */
  constructor({ context, graph, session, inputs, outputs, tensors }: DirectRunInit) {
    const feeds = inputs.texts.map((name) => tensors.inputs[name]!.handle);
    const results = outputs.texts.map((name) => tensors.outputs[name]!.handle);
    this.#context = context;
    this.#graph = graph;
    this.#session = session.pointer;
    this.#inputs = inputs;
    this.#outputs = outputs;
    this.#feedPointers = BigUint64Array.from(feeds, ({ pointer }) => pointer);
    this.#resultPointers = BigUint64Array.from(results, ({ pointer }) => pointer);
    this.#addresses = { feeds: addressOf(this.#feedPointers), results: addressOf(this.#resultPointers) };
    this.#used = [session, ...feeds, ...results];
    for (const handle of this.#used) handle.retain();
  }

  /**
   * Runs without blocking the event loop.
   * @throws {OrtError} if the graph fails. @throws the signal's reason, after which the contents of outputs are unknown.
   */
  async run(signal?: AbortSignal): Promise<void> {
    this.#assertUsable();
    signal?.throwIfAborted();
    this.#runs++;
    underWay.add(this);
    try {
      const { api } = this.#context;
      await withRunOptions(api, signal, (options) => api.Run(...this.#arguments(options)));
      signal?.throwIfAborted();
    } catch (error) {
      signal?.throwIfAborted();
      throw graphError(error, "run", this.#graph);
    } finally {
      if (--this.#runs === 0) {
        underWay.delete(this);
        if (this.#isDisposed) this.#release();
      }
    }
  }

  /**
   * Runs on the calling thread, which it holds up: for runs shorter than the 30 microseconds or more that the way to another
   * thread and back takes.
   * @throws {OrtError} if the graph fails.
   */
  runBlocking(): void {
    this.#assertUsable();
    try {
      this.#context.api.RunBlocking(...this.#arguments(0n));
    } catch (error) {
      throw graphError(error, "run", this.#graph);
    }
  }

  /** Lets go of the tensors and the session; during a run, once that has ended. Again is harmless. */
  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    if (this.#runs === 0) this.#release();
  }

  #release(): void {
    for (const handle of this.#used) handle.release();
  }

  #assertUsable(): void {
    if (this.#isDisposed) {
      throw new ReferenceError(`Cannot run '${this.#graph}' as the prepared run has been disposed`);
    }
  }

  #arguments(options: bigint): [bigint, bigint, bigint, bigint, number, bigint, number, bigint] {
    const { feeds, results } = this.#addresses;
    return [
      this.#session,
      options,
      this.#inputs.address,
      feeds,
      this.#feedPointers.length,
      this.#outputs.address,
      this.#resultPointers.length,
      results,
    ];
  }
}
