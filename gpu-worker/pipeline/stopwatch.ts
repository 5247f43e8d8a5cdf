// Measures how long each part of a run takes.

export class Stopwatch {
  readonly #started = performance.now();
  #lap = this.#started;

  /** Returns the seconds since the last lap and starts the next one. */
  lap(): number {
    const now = performance.now();
    const seconds = (now - this.#lap) / 1000;
    this.#lap = now;
    return seconds;
  }

  /** Returns the seconds since construction. */
  total(): number {
    return (performance.now() - this.#started) / 1000;
  }
}
