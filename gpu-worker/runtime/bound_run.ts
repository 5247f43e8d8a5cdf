// A run of a session whose tensors are bound once: repeating it costs little more than the graph itself.
import { graphError } from "./graph_error.ts";
import { NativeHandle } from "./native_handle.ts";
import { cString, out } from "./ort_api.ts";
import type { RuntimeContext } from "./runtime_context.ts";
import { type Tensor, tensorOf } from "./tensor.ts";
import { readValueInfo } from "./value_info.ts";
import { withRunOptions } from "./with_run_options.ts";

/** Options of {@linkcode BoundRun.run}. */
export interface RunOptions {
  /** Aborting ends the run before its next node, with the signal's reason. */
  signal?: AbortSignal | undefined;
}

export interface BoundRunInit {
  context: RuntimeContext;
  /** Name of the graph. */
  graph: string;
  session: NativeHandle;
  feeds: Readonly<Record<string, Tensor>>;
  /** Names of the wanted outputs, in the order of the results. */
  fetch: readonly string[];
  /** Tensors that receive outputs; the others are allocated in each run. */
  outputs: Readonly<Record<string, Tensor>>;
}

interface Bound {
  readonly name: Uint8Array<ArrayBuffer>;
  readonly tensor: Tensor | undefined;
  readonly pointer: bigint;
}

/** Made by `Session.bind`; it keeps session and tensors alive. */
export class BoundRun implements Disposable {
  readonly #context: RuntimeContext;
  readonly #graph: string;
  readonly #session: bigint;
  readonly #feeds: readonly Bound[];
  readonly #outputs: readonly Bound[];
  readonly #fetch: readonly string[];
  /** Owner of the session and the tensors for as long as it lives. */
  readonly #binding: NativeHandle;
  #isBound = false;
  #isRunning = false;
  #isDisposed = false;

  /**
   * For `Session.bind`, which has checked the tensors.
   * @internal
   */
  constructor({ context, graph, session, feeds, fetch, outputs }: BoundRunInit) {
    const { api } = context;
    const bound = (name: string, tensor: Tensor | undefined) => ({
      name: cString(name),
      tensor,
      pointer: tensor?.handle.pointer ?? 0n,
    });
    this.#context = context;
    this.#graph = graph;
    this.#session = session.pointer;
    this.#fetch = fetch;
    this.#feeds = Object.entries(feeds).map(([name, tensor]) => bound(name, tensor));
    this.#outputs = fetch.map((name) => bound(name, outputs[name]));
    const parents = [
      session,
      ...[...Object.values(feeds), ...Object.values(outputs)].map(({ handle }) => handle),
    ];
    const pointer = out((cell) => api.CreateIoBinding(session.pointer, cell));
    this.#binding = new NativeHandle("IoBinding", pointer, { parents, release: api.ReleaseIoBinding });
  }

  /**
   * Runs without blocking the event loop. Changed contents of the bound tensors count.
   * @returns every wanted output by name: the bound tensors themselves, and new ones that belong to the caller.
   * @throws {OrtError} if the graph fails.
   * @throws the signal's reason, after which the contents of bound outputs are unknown.
   */
  async run({ signal }: RunOptions = {}): Promise<Record<string, Tensor>> {
    if (this.#isDisposed) {
      throw new ReferenceError(`Cannot run '${this.#graph}' as the bound run has been disposed`);
    }
    if (this.#isRunning) throw new Error(`Cannot run '${this.#graph}' as this bound run is still under way`);
    signal?.throwIfAborted();
    // A disposal in the meantime takes effect after the run.
    using binding = this.#binding.retain();
    this.#isRunning = true;
    try {
      this.#bind(binding.pointer);
      const { api } = this.#context;
      await withRunOptions(
        api,
        signal,
        (options) => api.RunWithBinding(this.#session, options, binding.pointer),
      );
      signal?.throwIfAborted();
      return this.#takeOutputs(binding.pointer);
    } catch (error) {
      signal?.throwIfAborted();
      throw graphError(error, "run", this.#graph);
    } finally {
      this.#isRunning = false;
    }
  }

  /** Lets go of the tensors and the session; during a run, once that has ended. Again is harmless. */
  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#binding.release();
  }

  #bind(binding: bigint): void {
    const { api, provider, memoryInfo } = this.#context;
    // A device gets its copy of host memory when that is bound; on the CPU it is bound by reference.
    if (!this.#isBound || provider !== "cpu") {
      for (const { name, pointer } of this.#feeds) api.BindInput(binding, name, pointer);
    }
    for (const { name, tensor, pointer } of this.#outputs) {
      // An output that stayed bound would be written over by the next run, though it belongs to the caller now.
      if (tensor === undefined) api.BindOutputToDevice(binding, name, memoryInfo(provider).pointer);
      else if (!this.#isBound) api.BindOutput(binding, name, pointer);
    }
    this.#isBound = true;
  }

  #takeOutputs(binding: bigint): Record<string, Tensor> {
    const outputs = this.#outputs;
    const results = outputs.every(({ tensor }) => tensor !== undefined)
      ? outputs.map(({ tensor }) => tensor!)
      : boundValues(this.#context, binding).map((value, i) => {
        const tensor = outputs[i]!.tensor;
        if (tensor === undefined) return adopt(this.#context, value);
        this.#context.api.ReleaseValue(value);
        return tensor;
      });
    return Object.fromEntries(this.#fetch.map((name, i) => [name, results[i]!]));
  }
}

/** The OrtValues of the outputs in the order of their binding; each must be released. */
function boundValues({ api, allocator }: RuntimeContext, binding: bigint): bigint[] {
  const count = new BigUint64Array(1);
  const list = out((cell) => api.GetBoundOutputValues(binding, allocator, cell, count));
  const view = new Deno.UnsafePointerView(Deno.UnsafePointer.create(list)!);
  const values = Array.from({ length: Number(count[0]) }, (_, i) => view.getBigUint64(i * 8));
  api.AllocatorFree(allocator, list);
  return values;
}

function adopt(context: RuntimeContext, value: bigint): Tensor {
  const { dtype, dims } = readValueInfo(context.api, value);
  return tensorOf(context, value, { dtype, dims, location: context.provider });
}
