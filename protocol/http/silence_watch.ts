// Notices that the other side of a connection has fallen silent. TCP alone reports this after hours, if at
// all.

export interface SilenceWatchOptions {
  /** Milliseconds for the first sign of life. */
  firstMs: number;
  /** Milliseconds between later signs of life. */
  idleMs: number;
  /** Ends the watch early. */
  signal: AbortSignal;
}

export class SilenceWatch implements Disposable {
  readonly #silent = new AbortController();
  readonly #idleMs: number;
  #timer: ReturnType<typeof setTimeout>;
  /** Aborts with the given signal, or after a silence that is too long. */
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
