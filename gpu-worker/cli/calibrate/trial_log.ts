// The measurements of an unfinished calibration, one line of JSON each, appended at once. An interrupted
// calibration goes on from it.

/** Measurements by key. */
export class TrialLog implements Disposable {
  readonly #values = new Map<string, unknown>();
  readonly #path: string;
  readonly #file: Deno.FsFile;

  /**
   * Opens the log at `path`.
   * @param settings what all measurements depend on; a log of other settings is emptied
   */
  constructor(path: string, settings: unknown) {
    this.#path = path;
    this.#file = Deno.openSync(path, { create: true, read: true, write: true });
    const head = JSON.stringify({ settings });
    const [first, ...lines] = Deno.readTextFileSync(path).split("\n");
    if (first === head) {
      for (const line of lines) this.#read(line);
      this.#file.seekSync(0, Deno.SeekMode.End);
      // The last line is cut where the process was killed within it.
      if (lines.at(-1) !== "") this.#write("\n");
    } else {
      this.#file.truncateSync();
      this.#write(head + "\n");
    }
  }

  get<T>(key: string): T | undefined {
    return this.#values.get(key) as T | undefined;
  }

  add(key: string, value: unknown): void {
    this.#values.set(key, value);
    this.#write(JSON.stringify([key, value]) + "\n");
  }

  /** Deletes the file: the calibration is complete. */
  remove(): void {
    Deno.removeSync(this.#path);
  }

  #read(line: string): void {
    try {
      const [key, value] = JSON.parse(line);
      this.#values.set(key, value);
    } catch {
      // Cut off, or empty.
    }
  }

  #write(text: string): void {
    this.#file.writeSync(new TextEncoder().encode(text));
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}
