// The arguments of the call that loads a model, and all that must stay alive while it is under way.
import type { ExecutionProviderOptions } from "./execution_provider.ts";
import type { NativeHandle } from "./native_handle.ts";
import { addressOf } from "./ort_api.ts";
import type { RuntimeContext } from "./runtime_context.ts";
import { createSessionOptions, type SessionOptions } from "./session_options.ts";

export interface LoadOptions extends SessionOptions {
  execution: ExecutionProviderOptions;
}

/** Calls under way: native code looks at their buffers, so they must not be collected. */
const underWay = new Set<LoadCall>();

export class LoadCall implements Disposable {
  /** Of CreateSessionFromArray: environment, model, its length, options, where the session goes. */
  readonly args: [bigint, bigint, number, bigint, bigint];
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #options: NativeHandle;
  readonly #env: NativeHandle;
  readonly #cell = new BigUint64Array(1);

  /** @throws {ProviderUnavailableError} */
  constructor({ api, env }: RuntimeContext, model: Uint8Array, { execution, ...options }: LoadOptions) {
    // Shared memory may change under the parser.
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
