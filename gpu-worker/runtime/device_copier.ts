// Allocates a device's memory and copies between it and main memory, with sessions
// that contain one Identity node.
import { type DType, ONNX_DATA_TYPE } from "./dtype.ts";
import { type ExecutionProviderOptions, providerUnavailable } from "./execution_provider.ts";
import { identityModel } from "./identity_model.ts";
import type { LoadOptions } from "./load_call.ts";
import { NativeHandle } from "./native_handle.ts";
import { OrtError } from "./ort_error.ts";
import { out } from "./ort_api.ts";
import { Session } from "./session.ts";
import { elementCount, type Tensor, type TensorContext, tensorOf } from "./tensor.ts";

export class DeviceCopier implements Disposable {
  readonly #context: TensorContext;
  readonly #execution: ExecutionProviderOptions;
  readonly #sessions = new Map<DType, Promise<Session>>();
  readonly #stack = new DisposableStack();
  #allocator: NativeHandle | undefined;

  private constructor(context: TensorContext, execution: ExecutionProviderOptions) {
    this.#context = context;
    this.#execution = execution;
  }

  /**
   * Starts the provider. A device that is in use by other runtimes has started already.
   * @throws {ProviderUnavailableError} if it is unavailable.
   */
  static open(context: TensorContext, execution: ExecutionProviderOptions): DeviceCopier {
    const copier = new DeviceCopier(context, execution);
    if (context.turns.isBusy) return copier;
    try {
      copier.#createAllocator();
      return copier;
    } catch (error) {
      copier[Symbol.dispose]();
      throw error instanceof OrtError ? providerUnavailable(context.provider, error) : error;
    }
  }

  /**
   * Allocates a tensor in the device's memory. Its contents are undefined.
   * @throws {TypeError} if the device takes one call at a time and a call is active.
   */
  allocate<D extends DType>(dtype: D, dims: readonly number[]): Tensor<D> {
    void elementCount(dims);
    const { api, provider, turns } = this.#context;
    if (turns.isBusy) {
      throw new TypeError(`Cannot allocate memory on ${provider} while another call uses the device`);
    }
    const allocator = this.#createAllocator();
    const shape = BigInt64Array.from(dims, BigInt);
    const type = ONNX_DATA_TYPE[dtype];
    const pointer = out((cell) =>
      api.CreateTensorAsOrtValue(allocator.pointer, shape, dims.length, type, cell)
    );
    return tensorOf(this.#context, pointer, { dtype, dims: [...dims], location: provider });
  }

  /** Copies `source` to `target`, which has the same dtype and size. Either may be in any memory. */
  async copy(source: Tensor, target: Tensor): Promise<void> {
    const dims = [elementCount(source.dims)];
    using flatSource = source.view(0, dims);
    using flatTarget = target.view(0, dims);
    const session = await this.#session(source.dtype);
    await session.run({ source: flatSource }, { outputs: { target: flatTarget } });
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }

  /** Loads the session of float32 copies, which knows the device's allocator, on this thread. */
  #createAllocator(): NativeHandle {
    if (this.#allocator !== undefined) return this.#allocator;
    const { api, provider, memoryInfo, turns } = this.#context;
    const session = this.#stack.use(
      Session.loadBlocking(this.#context, identityModel("float32"), this.#options("float32")),
    );
    const pointer = out((cell) =>
      api.CreateAllocator(session.handle.pointer, memoryInfo(provider).pointer, cell)
    );
    this.#sessions.set("float32", Promise.resolve(session));
    return this.#allocator = this.#stack.use(
      new NativeHandle("Allocator", pointer, {
        parents: [session.handle],
        release: (pointer) => turns.release(() => api.ReleaseAllocator(pointer)),
      }),
    );
  }

  #session(dtype: DType): Promise<Session> {
    let session = this.#sessions.get(dtype);
    if (session === undefined) {
      session = Session.load(this.#context, identityModel(dtype), this.#options(dtype)).then((loaded) =>
        this.#stack.disposed ? disposed(loaded) : this.#stack.use(loaded)
      );
      this.#sessions.set(dtype, session);
    }
    return session;
  }

  #options(dtype: DType): LoadOptions {
    return { name: `copy ${dtype}`, graphOptimization: "disabled", execution: this.#execution };
  }
}

/** Disposes of a session whose copier was disposed of during the load. */
function disposed(session: Session): Session {
  session[Symbol.dispose]();
  return session;
}
