// The events of a run so far. Any number of followers read them, each from where it left off.

/**
 * An append-only list. A run's events are few and bounded (steps, previews, one
 * result), so the log keeps all.
 */
export class EventLog<E> {
  readonly #entries: { id: number; event: E }[] = [];
  readonly #before: number;
  #closed = false;
  #changed = Promise.withResolvers<void>();

  /** @param before ids begin after this one, where a run goes on that others have begun */
  constructor(before = 0) {
    this.#before = before;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Id of the newest event. */
  get lastId(): number {
    return this.#entries.at(-1)?.id ?? this.#before;
  }

  /**
   * Appends an event.
   * @param id must be higher than those before; what is not is known already and left out.
   * @default the next one
   */
  append(event: E, id: number = this.lastId + 1): void {
    if (this.#closed || id <= this.lastId) return;
    this.#entries.push({ id, event });
    this.#wake();
  }

  /** Ends every reader once it has caught up. */
  close(): void {
    this.#closed = true;
    this.#wake();
  }

  /** Events after the one with id `after`, as many as there are. */
  since(after: number): { id: number; event: E }[] {
    return this.#entries.slice(this.#indexAfter(after));
  }

  /** Waits for events after an id. Returns none after the end. */
  async next(after: number): Promise<{ id: number; event: E }[]> {
    for (;;) {
      const entries = this.since(after);
      if (entries.length > 0 || this.#closed) return entries;
      await this.#changed.promise;
    }
  }

  /** Events after the one with id `after`, then those to come. Ends early, quietly, on `signal`. */
  async *read(after: number, signal: AbortSignal): AsyncGenerator<{ id: number; event: E }> {
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    const abort = () => resolve();
    if (signal.aborted) resolve();
    signal.addEventListener("abort", abort, { once: true });
    try {
      for (let index = this.#indexAfter(after); !signal.aborted; index++) {
        while (index >= this.#entries.length) {
          if (this.#closed) return;
          await Promise.race([this.#changed.promise, aborted]);
          if (signal.aborted) return;
        }
        const entry = this.#entries[index]!;
        // Some that were read elsewhere may not have been here when reading began.
        if (entry.id > after) yield entry;
      }
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  #indexAfter(after: number): number {
    // Readers mostly begin at either end.
    if (after <= this.#before) return 0;
    const index = this.#entries.findLastIndex(({ id }) => id <= after);
    return index + 1;
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
