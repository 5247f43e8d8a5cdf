// A loaded graph that is ready to run.
import { CStrings } from "./c_strings.ts";
import { checkNoneMissing, checkValues } from "./check_values.ts";
import { DirectRun } from "./direct_run.ts";
import { graphError } from "./graph_error.ts";
import { LoadCall, type LoadOptions } from "./load_call.ts";
import { NativeHandle } from "./native_handle.ts";
import { readCString } from "./c_string.ts";
import { out } from "./ort_api.ts";
import { runBound } from "./run_bound.ts";
import type { SessionOptions } from "./session_options.ts";
import type { Tensor, TensorContext } from "./tensor.ts";
import { readDeclared, type ValueInfo } from "./value_info.ts";

/** A serialized model, and the folder of its weights. */
export interface SessionModel extends Pick<SessionOptions, "memPattern"> {
  /** Name of the graph in errors and logs. */
  readonly name?: string;
  /** ModelProto. */
  readonly bytes: Uint8Array;
  /** Folder that external data locations are relative to. */
  readonly externalDataFolder?: string;
}

/** Options of {@linkcode Session.prepare}. */
export interface OutputOptions {
  /** Tensors that receive outputs, e.g. a slot of a history. Other outputs are allocated. */
  outputs?: Readonly<Record<string, Tensor>>;
  /** Names of the outputs to compute. @default all */
  fetch?: readonly string[];
}

/** Options of {@linkcode Session.run}. */
export interface SessionRunOptions extends OutputOptions {
  /** Aborting ends the run before its next node, with the signal's reason. */
  signal?: AbortSignal | undefined;
  /**
   * Runs on the calling thread and blocks it; the signal is ignored. For runs that are shorter than the
   * hand-over to another thread, which takes 30 microseconds or more. Every output must have its tensor.
   * @default false
   */
  blocking?: boolean;
}

export interface SessionInit {
  context: TensorContext;
  name: string;
  handle: NativeHandle;
}

/** A loaded graph. It owns the weights in ONNX Runtime's layout. */
export class Session implements Disposable {
  /** Name of the graph in errors and logs. */
  readonly name: string;
  /** Inputs that the graph declares, in its order. */
  readonly inputs: readonly ValueInfo[];
  /** Outputs that the graph declares, in its order. */
  readonly outputs: readonly ValueInfo[];
  readonly #context: TensorContext;
  readonly #handle: NativeHandle;
  readonly #inputs: ReadonlyMap<string, ValueInfo>;
  readonly #outputs: ReadonlyMap<string, ValueInfo>;
  readonly #inputNames: CStrings;
  /** Output names in C's form, by the joined names of the wanted outputs. */
  readonly #outputNames = new Map<string, CStrings>();
  #disposed = false;

  /**
   * Use `Runtime.createSession` instead.
   * @internal
   */
  constructor({ context, name, handle }: SessionInit) {
    const { api, allocator } = context;
    this.#context = context;
    this.name = name;
    this.#handle = handle;
    this.inputs = readDeclared(api, handle.pointer, { kind: "Input", allocator });
    this.outputs = readDeclared(api, handle.pointer, { kind: "Output", allocator });
    this.#inputs = new Map(this.inputs.map((info) => [info.name, info]));
    this.#outputs = new Map(this.outputs.map((info) => [info.name, info]));
    this.#inputNames = new CStrings(this.inputNames);
  }

  /**
   * Loads a graph. Use `Runtime.createSession` instead.
   * @internal
   */
  static async load(context: TensorContext, model: Uint8Array, options: LoadOptions): Promise<Session> {
    const { name = "graph" } = options;
    try {
      return await context.turns.take(async () => {
        using call = new LoadCall(context, model, options);
        await context.api.CreateSessionFromArray(...call.args);
        return adopt(context, call.session, { name, ...options });
      });
    } catch (error) {
      throw graphError(error, "load", name);
    }
  }

  /** Loads a graph of a few nodes like `load`, but on the calling thread. @internal */
  static loadBlocking(context: TensorContext, model: Uint8Array, options: LoadOptions): Session {
    const { name = "graph" } = options;
    using call = new LoadCall(context, model, options);
    try {
      context.api.CreateSessionFromArrayBlocking(...call.args);
      return adopt(context, call.session, { name, ...options });
    } catch (error) {
      throw graphError(error, "load", name);
    }
  }

  /** Names of the inputs, in the graph's order. */
  get inputNames(): string[] {
    return [...this.#inputs.keys()];
  }

  /** Names of the outputs, in the graph's order. */
  get outputNames(): string[] {
    return [...this.#outputs.keys()];
  }

  /**
   * The native session.
   * @throws {ReferenceError} after disposal.
   * @internal
   */
  get handle(): NativeHandle {
    if (this.#disposed) {
      throw new ReferenceError(`Cannot use '${this.name}' as its session has been disposed`);
    }
    return this.#handle;
  }

  /**
   * Runs the graph without blocking the event loop. Several runs may be active at once. Fastest if `outputs`
   * holds every wanted output.
   * @param feeds every input by name
   * @returns the wanted outputs by name; outputs without a given tensor belong to the caller
   * @throws {TypeError | RangeError} naming the input whose name, dtype or shape the graph does not accept.
   * @throws {OrtError} if the graph fails.
   * @throws the signal's reason, once the current node has ended.
   */
  async run(
    feeds: Readonly<Record<string, Tensor>>,
    { signal, blocking = false, ...options }: SessionRunOptions = {},
  ): Promise<Record<string, Tensor>> {
    signal?.throwIfAborted();
    const { outputs = {}, fetch = this.outputNames } = options;
    if (fetch.some((name) => outputs[name] === undefined)) {
      const session = this.handle;
      this.#check(feeds, { outputs, fetch });
      return await runBound({
        context: this.#context,
        graph: this.name,
        session,
        feeds,
        fetch,
        outputs,
        signal,
      });
    }
    using direct = this.prepare(feeds, { outputs, fetch });
    if (blocking) direct.runBlocking();
    else await direct.run(signal);
    return Object.fromEntries(fetch.map((name) => [name, outputs[name]!]));
  }

  /**
   * Prepares a run for repetition with the same tensors. Every wanted output must have its tensor.
   * @throws {TypeError | RangeError} as `run` does.
   * @throws {TypeError} naming an output without a tensor.
   */
  prepare(
    feeds: Readonly<Record<string, Tensor>>,
    { outputs, fetch = this.outputNames }: OutputOptions & { outputs: Readonly<Record<string, Tensor>> },
  ): DirectRun {
    this.#check(feeds, { outputs, fetch });
    const missing = fetch.find((name) => outputs[name] === undefined);
    if (missing !== undefined) {
      throw new TypeError(`Cannot prepare '${this.name}' as its output '${missing}' has no tensor`);
    }
    return new DirectRun({
      context: this.#context,
      graph: this.name,
      session: this.handle,
      inputs: this.#inputNames,
      outputs: this.#cStrings(fetch),
      tensors: { inputs: feeds, outputs },
    });
  }

  /** Stops profiling and writes the recording. @returns path of the JSON file (Chrome trace format) */
  endProfiling(): string {
    const { api, allocator } = this.#context;
    const text = out((cell) => api.SessionEndProfiling(this.handle.pointer, allocator, cell));
    const path = readCString(text);
    api.AllocatorFree(allocator, text);
    return path;
  }

  #check(
    feeds: Readonly<Record<string, Tensor>>,
    { outputs, fetch }: Required<OutputOptions>,
  ): void {
    const sizes = new Map<string, number>();
    checkNoneMissing(this.#inputs, feeds, this.name);
    checkValues(this.#inputs, feeds, { graph: this.name, role: "input", sizes });
    checkValues(this.#outputs, outputs, { graph: this.name, role: "output", sizes });
    for (const name of fetch) {
      if (!this.#outputs.has(name)) {
        throw new TypeError(
          `Cannot run '${this.name}' as it has no output '${name}': it has ${this.outputNames}`,
        );
      }
    }
  }

  #cStrings(outputs: readonly string[]): CStrings {
    const key = outputs.join("\0");
    let names = this.#outputNames.get(key);
    if (names === undefined) this.#outputNames.set(key, names = new CStrings(outputs));
    return names;
  }

  /** Unloads the graph, once active runs have ended. May be called repeatedly. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#handle.release();
  }
}

function adopt(
  context: TensorContext,
  pointer: bigint,
  { name, initializers = {} }: Pick<LoadOptions, "initializers"> & { name: string },
): Session {
  const { api, env, turns } = context;
  const handle = new NativeHandle("Session", pointer, {
    parents: [env, ...Object.values(initializers).map(({ handle }) => handle)],
    release: (pointer) => turns.release(() => api.ReleaseSession(pointer)),
  });
  try {
    return new Session({ context, name, handle });
  } catch (error) {
    handle.release();
    throw error;
  }
}
