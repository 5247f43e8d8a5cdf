// Speaks to screen readers without flooding them: progress at most every few seconds, the rest at once.

export class Announcer {
  #region;
  #intervalMs;
  #now;
  #last = -Infinity;

  /**
   * @param {{ textContent: string | null }} region An aria-live element.
   * @param {{ intervalMs?: number, now?: () => number }} [options]
   */
  constructor(region, { intervalMs = 4000, now = () => performance.now() } = {}) {
    this.#region = region;
    this.#intervalMs = intervalMs;
    this.#now = now;
  }

  /** Announces progress. @param {string} text Dropped if something was said just before. */
  progress(text) {
    if (this.#now() - this.#last >= this.#intervalMs) this.say(text);
  }

  /** Announces something at once. @param {string} text */
  say(text) {
    this.#last = this.#now();
    this.#region.textContent = text;
  }
}
