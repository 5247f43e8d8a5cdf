// What happened in a run so far, readable by any number of followers, each from where it left off.

/** An append-only list. A run's events are few and bounded (steps, previews, one picture), so the log keeps all. */
export class EventLog<E> {
  readonly #events: E[] = [];
  #closed = false;
  #changed = Promise.withResolvers<void>();

  get closed(): boolean {
    return this.#closed;
  }

  /** Also the id of the newest event. */
  get length(): number {
    return this.#events.length;
  }

  append(event: E): void {
    if (this.#closed) return;
    this.#events.push(event);
    this.#wake();
  }

  /** Ends every reader once it has caught up. */
  close(): void {
    this.#closed = true;
    this.#wake();
  }

  /** Events after the one with id `after` (ids count from 1), then those to come. Ends early, quietly, on `signal`. */
  async *read(after: number, signal: AbortSignal): AsyncGenerator<{ id: number; event: E }> {
    const aborted = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    for (let id = after + 1; !signal.aborted; id++) {
      while (id > this.#events.length) {
        if (this.#closed) return;
        await Promise.race([this.#changed.promise, aborted]);
        if (signal.aborted) return;
      }
      yield { id, event: this.#events[id - 1]! };
    }
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
