// The arguments of a call that loads a model, and the memory that must stay alive during the call.
import type { ExecutionProviderOptions } from "./execution_provider.ts";
import type { NativeHandle } from "./native_handle.ts";
import { addressOf } from "./ort_api.ts";
import type { RuntimeContext } from "./runtime_context.ts";
import { createSessionOptions, type SessionOptions } from "./session_options.ts";

export interface LoadOptions extends SessionOptions {
  execution: ExecutionProviderOptions;
}

/** Active calls. Native code uses their buffers, so they must not be collected. */
const underWay = new Set<LoadCall>();

export class LoadCall implements Disposable {
  /**
   * Arguments of CreateSessionFromArray: environment, model, its length,
   * options, and the cell for the session.
   */
  readonly args: [bigint, bigint, number, bigint, bigint];
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #options: NativeHandle;
  readonly #env: NativeHandle;
  readonly #cell = new BigUint64Array(1);

  /** @throws {ProviderUnavailableError} */
  constructor({ api, env }: RuntimeContext, model: Uint8Array, { execution, ...options }: LoadOptions) {
    // Copy shared memory, which may change while it is parsed.
    this.#bytes = model.buffer instanceof ArrayBuffer
      ? model as Uint8Array<ArrayBuffer>
      : Uint8Array.from(model);
    this.#options = createSessionOptions(api, options, execution);
    this.#env = env.retain();
    const address = addressOf(this.#bytes);
    this.args = [
      env.pointer,
      address,
      this.#bytes.byteLength,
      this.#options.pointer,
      addressOf(this.#cell),
    ];
    underWay.add(this);
  }

  /** The session that the call created. */
  get session(): bigint {
    return this.#cell[0]!;
  }

  [Symbol.dispose](): void {
    this.#options.release();
    this.#env.release();
    underWay.delete(this);
  }
}
