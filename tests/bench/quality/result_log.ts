// Log of measurements, one line of JSON each, appended at once: a measurement that was
// stopped goes on where it was.
export class ResultLog<T extends { key: string }> implements Disposable {
  readonly #records = new Map<string, T>();
  readonly #file: Deno.FsFile;

  private constructor(path: string) {
    this.#file = Deno.openSync(path, { create: true, append: true, read: true });
    const lines = Deno.readTextFileSync(path).split("\n");
    // The last line is cut where the process was killed within it.
    if (lines.at(-1) !== "") this.#file.writeSync(new TextEncoder().encode("\n"));
    for (const line of lines) {
      const record = parse<T>(line);
      if (record) this.#records.set(record.key, record);
    }
  }

  static open<T extends { key: string }>(path: string): ResultLog<T> {
    return new ResultLog<T>(path);
  }

  get records(): IterableIterator<T> {
    return this.#records.values();
  }

  get(key: string): T | undefined {
    return this.#records.get(key);
  }

  add(record: T): void {
    this.#records.set(record.key, record);
    this.#file.writeSync(new TextEncoder().encode(JSON.stringify(record) + "\n"));
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

function parse<T>(line: string): T | undefined {
  try {
    return JSON.parse(line) as T;
  } catch {
    return undefined;
  }
}
