// Allocates a device's memory and copies between it and main memory, with sessions
// that contain one Identity node.
import { type DType, ONNX_DATA_TYPE } from "./dtype.ts";
import { type ExecutionProviderOptions, providerUnavailable } from "./execution_provider.ts";
import { identityModel } from "./identity_model.ts";
import { NativeHandle } from "./native_handle.ts";
import { OrtError } from "./ort_error.ts";
import { out } from "./ort_api.ts";
import { Session } from "./session.ts";
import { elementCount, type Tensor, type TensorContext, tensorOf } from "./tensor.ts";

export class DeviceCopier implements Disposable {
  readonly #context: TensorContext;
  readonly #execution: ExecutionProviderOptions;
  readonly #allocator: NativeHandle;
  readonly #sessions = new Map<DType, Session>();

  private constructor(context: TensorContext, execution: ExecutionProviderOptions) {
    const { api, provider, memoryInfo } = context;
    this.#context = context;
    this.#execution = execution;
    const { handle } = this.#session("float32");
    const pointer = out((cell) => api.CreateAllocator(handle.pointer, memoryInfo(provider).pointer, cell));
    this.#allocator = new NativeHandle("Allocator", pointer, {
      parents: [handle],
      release: api.ReleaseAllocator,
    });
  }

  /** Starts the provider. @throws {ProviderUnavailableError} if it is unavailable. */
  static open(context: TensorContext, execution: ExecutionProviderOptions): DeviceCopier {
    try {
      return new DeviceCopier(context, execution);
    } catch (error) {
      throw error instanceof OrtError ? providerUnavailable(context.provider, error) : error;
    }
  }

  /** Allocates a tensor in the device's memory. Its contents are undefined. */
  allocate<D extends DType>(dtype: D, dims: readonly number[]): Tensor<D> {
    void elementCount(dims);
    const { api, provider } = this.#context;
    const shape = BigInt64Array.from(dims, BigInt);
    const type = ONNX_DATA_TYPE[dtype];
    const pointer = out((cell) =>
      api.CreateTensorAsOrtValue(this.#allocator.pointer, shape, dims.length, type, cell)
    );
    return tensorOf(this.#context, pointer, { dtype, dims: [...dims], location: provider });
  }

  /** Copies `source` to `target`, which has the same dtype and size. Either may be in any memory. */
  async copy(source: Tensor, target: Tensor): Promise<void> {
    const dims = [elementCount(source.dims)];
    using flatSource = source.view(0, dims);
    using flatTarget = target.view(0, dims);
    await this.#session(source.dtype).run({ source: flatSource }, { outputs: { target: flatTarget } });
  }

  [Symbol.dispose](): void {
    this.#allocator.release();
    for (const session of this.#sessions.values()) session[Symbol.dispose]();
  }

  #session(dtype: DType): Session {
    let session = this.#sessions.get(dtype);
    if (session === undefined) {
      session = Session.loadBlocking(this.#context, identityModel(dtype), {
        name: `copy ${dtype}`,
        graphOptimization: "disabled",
        execution: this.#execution,
      });
      this.#sessions.set(dtype, session);
    }
    return session;
  }
}
