// Notices that the other side of a connection has fallen silent: TCP alone tells of
// that after hours, if at all.

export interface SilenceWatchOptions {
  /** For the first sign. */
  firstMs: number;
  /** Between signs from then on. */
  idleMs: number;
  /** Ends it early. */
  signal: AbortSignal;
}

export class SilenceWatch implements Disposable {
  readonly #silent = new AbortController();
  readonly #idleMs: number;
  #timer: ReturnType<typeof setTimeout>;
  /** Aborts with the signal given, or once nothing was heard for too long. */
  readonly signal: AbortSignal;

  constructor({ firstMs, idleMs, signal }: SilenceWatchOptions) {
    this.#idleMs = idleMs;
    this.#timer = setTimeout(() => this.#silent.abort(), firstMs);
    this.signal = AbortSignal.any([signal, this.#silent.signal]);
  }

  /** Passes on what it hears. */
  listen<T>(): TransformStream<T, T> {
    return new TransformStream({
      transform: (heard, controller) => {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#silent.abort(), this.#idleMs);
        controller.enqueue(heard);
      },
    });
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
