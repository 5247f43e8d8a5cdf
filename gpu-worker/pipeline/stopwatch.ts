// Seconds between the parts of a run.

export class Stopwatch {
  readonly #started = performance.now();
  #lap = this.#started;

  /** Seconds since the last lap. */
  lap(): number {
    const now = performance.now();
    const seconds = (now - this.#lap) / 1000;
    this.#lap = now;
    return seconds;
  }

  /** Seconds since construction. */
  total(): number {
    return (performance.now() - this.#started) / 1000;
  }
}
