// ONNX Runtime with one execution provider. It creates sessions and tensors.
import { DeviceCopier } from "./device_copier.ts";
import { type DType, DTYPE_BYTES, ONNX_DATA_TYPE } from "./dtype.ts";
import type { ExecutionProviderOptions } from "./execution_provider.ts";
import { NativeHandle } from "./native_handle.ts";
import { cString } from "./c_string.ts";
import { openOrtApi, type OrtApi, out } from "./ort_api.ts";
import type { Location, ProviderName } from "./provider.ts";
import { populateMemory } from "./populate_memory.ts";
import { PROVIDER_TRAITS, type ProviderTraits } from "./provider_traits.ts";
import { Session, type SessionModel } from "./session.ts";
import type { SessionOptions } from "./session_options.ts";
import type { Turns } from "./turns.ts";
import { elementCount, type Tensor, type TensorContext, tensorOf, tensorOver } from "./tensor.ts";
import { TYPED_ARRAYS, type TypedArray } from "./typed_array.ts";
import { WebgpuDevice } from "./webgpu/webgpu_device.ts";

/** Options of {@linkcode Runtime.open}. */
export interface RuntimeOptions {
  /** The execution provider. @default "cpu" */
  provider?: ProviderName;
  /** Index of the device. @default 0 */
  deviceId?: number;
  /** Threads per graph on the CPU. @default one pool for all graphs, with a thread for each physical core */
  intraOpThreads?: number;
}

/** Least severity that ONNX Runtime logs. Less severe problems are thrown as errors. */
const LOG_FATAL = 4;

/** Names of memory in ONNX Runtime. */
const MEMORY_NAMES: Record<Location, string> = { cpu: "Cpu", cuda: "Cuda", webgpu: "WebGPU_Buffer" };

/** OrtAllocatorType and OrtMemType for the device's own memory, without an arena. */
const DEVICE_ALLOCATOR = 0;
const DEFAULT_MEMORY = 0;

/** The environment of sessions and tensors, with one execution provider. */
export class Runtime implements Disposable {
  /** The execution provider. */
  readonly provider: ProviderName;
  /** The provider's abilities. */
  readonly traits: ProviderTraits;
  readonly #context: TensorContext;
  readonly #execution: ExecutionProviderOptions;
  readonly #intraOpThreads: number | undefined;
  readonly #owned: NativeHandle[];
  readonly #copier: DeviceCopier | undefined;
  readonly #webgpu: WebgpuDevice | undefined;
  #disposed = false;

  /**
   * Opens ONNX Runtime and checks that the provider works on this machine.
   * @throws {ProviderUnavailableError} naming the remedy. There is no fallback to another provider.
   */
  static open(options: RuntimeOptions = {}): Runtime {
    return new Runtime(options);
  }

  private constructor(options: RuntimeOptions) {
    const { provider = "cpu", deviceId = 0, intraOpThreads } = options;
    const api = openOrtApi();
    this.provider = provider;
    this.traits = PROVIDER_TRAITS[provider];
    const { turns } = this.traits;
    this.#intraOpThreads = intraOpThreads;
    this.#execution = { provider, deviceId };
    const env = createEnv(api, (release) => turns.release(release));
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
      turns,
      allocator: out((cell) => api.GetAllocatorWithDefaultOptions(cell)),
      memoryInfo: (location) => memoryInfos.get(location)!,
      copy: (source, target) => this.#copier!.copy(source, target),
    };
    try {
      if (provider !== "cpu") this.#copier = DeviceCopier.open(this.#context, this.#execution);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
    if (provider === "webgpu") {
      this.#webgpu = new WebgpuDevice({
        run: (model, { dims, data }) => this.#runOnce(model, dims, data),
      });
    }
  }

  /** Returns whether graphs may compute in `dtype` on this machine's device. */
  async supports(dtype: DType): Promise<boolean> {
    return await this.#webgpu?.supports(dtype) ?? true;
  }

  /**
   * Loads a graph with its weights, without blocking the event loop.
   * @param model a ModelProto, alone or with its name and folder
   * @throws {OrtError} naming the graph.
   */
  async createSession(model: Uint8Array | SessionModel, options: SessionOptions = {}): Promise<Session> {
    this.#assertOpen();
    const { bytes, ...defaults }: SessionModel = model instanceof Uint8Array ? { bytes: model } : model;
    return await this.#load(await this.#webgpu?.adapt(bytes) ?? bytes, { ...defaults, ...options });
  }

  async #load(bytes: Uint8Array, options: SessionOptions): Promise<Session> {
    const intraOpThreads = this.#intraOpThreads;
    return await Session.load(this.#context, bytes, {
      ...(intraOpThreads !== undefined && { intraOpThreads }),
      ...options,
      execution: this.#execution,
    });
  }

  async #runOnce(
    model: Uint8Array,
    dims: readonly number[],
    data: Float32Array<ArrayBuffer>,
  ): Promise<Float32Array> {
    using session = await this.#load(model, { name: "probe" });
    using x = this.tensor("float32", dims, data);
    using y = (await session.run({ x }))["y"]!;
    return await y.as("float32").toArray();
  }

  /**
   * Allocates a tensor in the provider's memory: zeros on the CPU, undefined contents on a device.
   * @throws {TypeError} if the device takes one call at a time and a call is active.
   * Use a run's output instead.
   */
  allocate<D extends DType>(dtype: D, dims: readonly number[]): Tensor<D> {
    this.#assertOpen();
    return this.#copier?.allocate(dtype, dims) ?? this.#hostTensor(dtype, dims);
  }

  /**
   * Allocates a small tensor that can be viewed at offsets: in the provider's memory, or in
   * main memory if the provider's buffers have no addresses.
   */
  allocateAddressable<D extends DType>(dtype: D, dims: readonly number[]): Tensor<D> {
    return this.traits.hasAddresses ? this.allocate(dtype, dims) : this.#hostTensor(dtype, dims);
  }

  /**
   * Allocates main memory for `initializers` of sessions, outside of JavaScript's heap: it is freed at once
   * when its last owner releases it. Its contents are undefined.
   */
  allocateWeights(length: number): Tensor<"float32"> {
    this.#assertOpen();
    const { api, allocator } = this.#context;
    const shape = BigInt64Array.of(BigInt(length));
    const pointer = out((cell) =>
      api.CreateTensorAsOrtValue(allocator, shape, 1, ONNX_DATA_TYPE.float32, cell)
    );
    return tensorOf(this.#context, pointer, { dtype: "float32", dims: [length], location: "cpu" });
  }

  /** Gives a tensor of `allocateWeights` its pages, before they are written. */
  async populate({ handle, byteLength }: Tensor<"float32">): Promise<void> {
    using owned = handle.retain();
    const address = out((cell) => this.#context.api.GetTensorMutableData(owned.pointer, cell));
    await populateMemory(address, byteLength);
  }

  #hostTensor<D extends DType>(dtype: D, dims: readonly number[]): Tensor<D> {
    this.#assertOpen();
    const buffer = new ArrayBuffer(elementCount(dims) * DTYPE_BYTES[dtype]);
    return tensorOver(this.#context, dtype, dims, new TYPED_ARRAYS[dtype](buffer));
  }

  /**
   * Creates a CPU tensor over `data` without copying it. `data` must not be
   * transferred while the tensor lives.
   * @throws {TypeError | RangeError} if `data` is not the array type of `dtype`, or if
   * its length does not match `dims`.
   */
  tensor<D extends DType>(dtype: D, dims: readonly number[], data: TypedArray<D>): Tensor<D> {
    this.#assertOpen();
    return tensorOver(this.#context, dtype, dims, data);
  }

  /** Closes the runtime. Live sessions and tensors keep what they need. May be called repeatedly. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#copier?.[Symbol.dispose]();
    for (const handle of this.#owned.reverse()) handle.release();
  }

  #assertOpen(): void {
    if (this.#disposed) throw new ReferenceError("Cannot use the runtime as it has been disposed");
  }
}

/**
 * Creates the environment with one thread pool for all sessions. Sessions take turns, and separate pools
 * would hinder each other. In a process with several runtimes the first one creates the pool.
 */
function createEnv(api: OrtApi, whenIdle: Turns["release"]): NativeHandle {
  const options = out((cell) => api.CreateThreadingOptions(cell));
  try {
    const pointer = out((cell) =>
      api.CreateEnvWithGlobalThreadPools(LOG_FATAL, cString("spectrum"), options, cell)
    );
    return new NativeHandle("Env", pointer, {
      release: (pointer) => whenIdle(() => api.ReleaseEnv(pointer)),
    });
  } finally {
    api.ReleaseThreadingOptions(options);
  }
}
