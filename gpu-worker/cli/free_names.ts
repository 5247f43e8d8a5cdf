// Names for many files, of which no two are equal on any file system.

/** The names that one command has given away. */
export class FreeNames {
  readonly #taken = new Set<string>();
  /** The last count of each first name. Counting from 1 again would take minutes for 100,000 equal names. */
  readonly #counts = new Map<string, number>();

  /**
   * Gives away the first name that is free.
   * @param name returns the name with a count; 1 is the name without one
   * @param isThere whether a file has the name @default no file has
   */
  take(name: (count: number) => string, isThere: (name: string) => boolean = () => false): string {
    const first = lower(name(1));
    for (let count = (this.#counts.get(first) ?? 0) + 1;; count++) {
      const candidate = name(count);
      if (this.#taken.has(lower(candidate)) || isThere(candidate)) continue;
      this.#taken.add(lower(candidate));
      this.#counts.set(first, count);
      return candidate;
    }
  }
}

/** Some file systems take Red.png for red.png. */
function lower(name: string): string {
  return name.toLowerCase();
}
