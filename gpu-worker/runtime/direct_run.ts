// A run whose outputs already have tensors: one call of the C API that binds and allocates nothing.
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
  /** Tensors by name. Tensors that `inputs` and `outputs` do not name are ignored. */
  tensors: { inputs: Readonly<Record<string, Tensor>>; outputs: Readonly<Record<string, Tensor>> };
}

/** Active runs. Native code uses their memory, so they must not be collected. */
const underWay = new Set<DirectRun>();

/**
 * A prepared run, created by `Session.prepare`. It keeps session and tensors alive. The tensors'
 * contents may change between runs.
 */
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
  /** Number of active runs. */
  #runs = 0;
  #isDisposed = false;

  /**
   * Use `Session.prepare` instead, which checks the tensors.
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
   * @throws {OrtError} if the graph fails.
   * @throws the signal's reason; the contents of outputs are then undefined.
   */
  async run(signal?: AbortSignal): Promise<void> {
    this.#assertUsable();
    signal?.throwIfAborted();
    this.#runs++;
    underWay.add(this);
    try {
      const { api, turns } = this.#context;
      await turns.take(async () => {
        signal?.throwIfAborted();
        await withRunOptions(api, signal, (options) => api.Run(...this.#arguments(options)));
      });
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
   * Runs on the calling thread and blocks it. For runs that are shorter than the hand-over to another thread,
   * which takes 30 microseconds or more.
   * @throws {TypeError} if the device takes one call at a time and a call is active.
   * @throws {OrtError} if the graph fails.
   */
  runBlocking(): void {
    this.#assertUsable();
    if (this.#context.turns.isBusy) {
      throw new TypeError(`Cannot run '${this.#graph}' on this thread as another call uses the device`);
    }
    try {
      this.#context.api.RunBlocking(...this.#arguments(0n));
    } catch (error) {
      throw graphError(error, "run", this.#graph);
    }
  }

  /** Releases tensors and session, or does so after the active run. May be called repeatedly. */
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
