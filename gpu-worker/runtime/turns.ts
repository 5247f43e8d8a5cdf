// Turns on a device. ONNX Runtime's WebGPU provider crashes the process if two native calls use its
// device at once, even calls of different sessions, or if a buffer is freed during a call.

/** Orders the native calls that use one device. */
export interface Turns {
  /** Whether a call is active or waits. Calls on the JavaScript thread are then forbidden. */
  readonly isBusy: boolean;
  /** Makes an asynchronous call, once it may begin. A call must not wait for another turn. */
  take<T>(call: () => Promise<T>): Promise<T>;
  /** Releases native objects, once no call is active. Objects are released in the order of these calls. */
  release(release: () => void): void;
}

/** For devices that take any number of calls at once. */
export const AT_ONCE: Turns = {
  isBusy: false,
  take: (call) => call(),
  release: (release) => release(),
};

/** Makes one call at a time. */
export class OneAtATime implements Turns {
  #last: Promise<void> = Promise.resolve();
  #calls = 0;
  readonly #releases: (() => void)[] = [];

  get isBusy(): boolean {
    return this.#calls > 0;
  }

  async take<T>(call: () => Promise<T>): Promise<T> {
    this.#calls++;
    const before = this.#last;
    const turn = Promise.withResolvers<void>();
    this.#last = turn.promise;
    try {
      await before;
      return await call();
    } finally {
      this.#calls--;
      for (const release of this.#releases.splice(0)) release();
      turn.resolve();
    }
  }

  release(release: () => void): void {
    if (this.isBusy) this.#releases.push(release);
    else release();
  }
}
