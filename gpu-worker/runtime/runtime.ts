// ONNX Runtime with one execution provider: where sessions and tensors come from.
import { DeviceCopier } from "./device_copier.ts";
import { type DType, DTYPE_BYTES } from "./dtype.ts";
import type { ExecutionProviderOptions } from "./execution_provider.ts";
import { NativeHandle } from "./native_handle.ts";
import { cString, openOrtApi, type OrtApi, out } from "./ort_api.ts";
import type { Location, ProviderName } from "./provider.ts";
import { Session, type SessionModel } from "./session.ts";
import type { SessionOptions } from "./session_options.ts";
import { elementCount, type Tensor, type TensorContext, tensorOver } from "./tensor.ts";
import { TYPED_ARRAYS, type TypedArray } from "./typed_array.ts";

/** Options of {@linkcode Runtime.open}. */
export interface RuntimeOptions {
  /** What computes. @default "cpu" */
  provider?: ProviderName;
  /** Index of the device. @default 0 */
  deviceId?: number;
  /** Threads within a node on the CPU, for each graph its own. @default graphs share one per physical core */
  intraOpThreads?: number;
}

/** Least severity that ONNX Runtime logs: it throws the others' reasons as errors. */
const LOG_FATAL = 4;

/** Names of memory in ONNX Runtime. */
const MEMORY_NAMES: Record<Location, string> = { cpu: "Cpu", cuda: "Cuda", webgpu: "WebGPU_Buffer" };

/** OrtAllocatorType and OrtMemType: the device's memory itself, without an arena around it. */
const DEVICE_ALLOCATOR = 0;
const DEFAULT_MEMORY = 0;

/** The environment of sessions and tensors, with one execution provider. */
export class Runtime implements Disposable {
  /** What computes. */
  readonly provider: ProviderName;
  readonly #context: TensorContext;
  readonly #execution: ExecutionProviderOptions;
  readonly #intraOpThreads: number | undefined;
  readonly #owned: NativeHandle[];
  readonly #device: DeviceCopier | undefined;
  #disposed = false;

  /**
   * Opens ONNX Runtime and makes sure that the provider works on this machine.
   * @throws {ProviderUnavailableError} naming the remedy; another provider is never taken instead.
   */
  static open(options: RuntimeOptions = {}): Runtime {
    return new Runtime(options);
  }

  private constructor(options: RuntimeOptions) {
    const { provider = "cpu", deviceId = 0, intraOpThreads } = options;
    const api = openOrtApi();
    this.provider = provider;
    this.#intraOpThreads = intraOpThreads;
    this.#execution = { provider, deviceId };
    const env = createEnv(api);
    this.#owned = [env];
    const memoryInfos = new Map<Location, NativeHandle>();
    for (const location of new Set<Location>(["cpu", provider])) {
      const id = location === "cpu" ? 0 : deviceId;
      const name = cString(MEMORY_NAMES[location]);
      const info = out((cell) => api.CreateMemoryInfo(name, DEVICE_ALLOCATOR, id, DEFAULT_MEMORY, cell));
      const handle = new NativeHandle("MemoryInfo", info, { release: api.ReleaseMemoryInfo });
      this.#owned.push(handle);
      memoryInfos.set(location, handle);
    }
    this.#context = {
      api,
      env,
      provider,
      allocator: out((cell) => api.GetAllocatorWithDefaultOptions(cell)),
      memoryInfo: (location) => memoryInfos.get(location)!,
      copy: (source, target) => this.#device!.copy(source, target),
    };
    try {
      if (provider !== "cpu") this.#device = DeviceCopier.open(this.#context, this.#execution);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Loads a graph with its weights, without blocking the event loop.
   * @param model a ModelProto, alone or with its name and folder
   * @throws {OrtError} naming the graph.
   */
  async createSession(model: Uint8Array | SessionModel, options: SessionOptions = {}): Promise<Session> {
    this.#assertOpen();
    const { bytes, ...defaults }: SessionModel = model instanceof Uint8Array ? { bytes: model } : model;
    const intraOpThreads = this.#intraOpThreads;
    return await Session.load(this.#context, bytes, {
      ...defaults,
      ...(intraOpThreads !== undefined && { intraOpThreads }),
      ...options,
      execution: this.#execution,
    });
  }

  /** A tensor in the provider's memory; zeros on the CPU, undefined contents on a device. */
  allocate<D extends DType>(dtype: D, dims: readonly number[]): Tensor<D> {
    this.#assertOpen();
    if (this.#device !== undefined) return this.#device.allocate(dtype, dims);
    const buffer = new ArrayBuffer(elementCount(dims) * DTYPE_BYTES[dtype]);
    return tensorOver(this.#context, dtype, dims, new TYPED_ARRAYS[dtype](buffer));
  }

  /**
   * A CPU tensor over `data`, which is not copied and must not be transferred while the tensor lives.
   * @throws {TypeError | RangeError} if `data` is not the array for `dtype` or not as long as `dims` says.
   */
  tensor<D extends DType>(dtype: D, dims: readonly number[], data: TypedArray<D>): Tensor<D> {
    this.#assertOpen();
    return tensorOver(this.#context, dtype, dims, data);
  }

  /** Sessions and tensors that still live keep what they need of it. Again is harmless. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#device?.[Symbol.dispose]();
    for (const handle of this.#owned.reverse()) handle.release();
  }

  #assertOpen(): void {
    if (this.#disposed) throw new ReferenceError("Cannot use the runtime as it has been disposed");
  }
}

/**
 * The environment, with one pool of threads for all sessions: they take turns, and the threads of one would be in the way of the
 * others'. Of a process with several runtimes the first makes the pool.
 */
function createEnv(api: OrtApi): NativeHandle {
  const options = out((cell) => api.CreateThreadingOptions(cell));
  try {
    const pointer = out((cell) =>
      api.CreateEnvWithGlobalThreadPools(LOG_FATAL, cString("spectrum"), options, cell)
    );
    return new NativeHandle("Env", pointer, { release: api.ReleaseEnv });
  } finally {
    api.ReleaseThreadingOptions(options);
  }
}
