// Generations of AUTOMATIC1111's API that are under way at this edge, by whose they are:
// for progress and interrupt.

export interface Generation extends Disposable {
  /** Aborted by an interrupt. */
  readonly signal: AbortSignal;
  /** Steps of all its pictures. */
  steps: number;
  stepsDone: number;
  pictures: number;
  picturesDone: number;
  /** The last preview, in base64. */
  preview: string | null;
}

export interface Progress
  extends Pick<Generation, "steps" | "stepsDone" | "pictures" | "picturesDone" | "preview"> {
  startedAt: number;
  /** 0..1. */
  share: number;
}

interface Entry extends Generation {
  startedAt: number;
  stop: AbortController;
}

export class Generations {
  readonly #running = new Map<string, Set<Entry>>();
  readonly #now: () => number;

  /** @param options.now Milliseconds since 1970. @default Date.now */
  constructor({ now = Date.now }: { now?: () => number } = {}) {
    this.#now = now;
  }

  /** Notes one, until it is disposed of. */
  begin(tenant: string, { pictures, steps }: Pick<Generation, "pictures" | "steps">): Generation {
    const stop = new AbortController();
    const running = this.#running.get(tenant) ?? new Set();
    this.#running.set(tenant, running);
    const entry: Entry = {
      startedAt: this.#now(),
      stop,
      signal: stop.signal,
      steps,
      stepsDone: 0,
      pictures,
      picturesDone: 0,
      preview: null,
      [Symbol.dispose]: () => {
        running.delete(entry);
        if (running.size === 0) this.#running.delete(tenant);
      },
    };
    running.add(entry);
    return entry;
  }

  /** Returns the progress of a tenant's oldest generation, or undefined without one. */
  progress(tenant: string): Progress | undefined {
    const [entry] = this.#running.get(tenant) ?? [];
    if (entry === undefined) return undefined;
    return { ...entry, share: Math.min(1, entry.stepsDone / entry.steps) };
  }

  /** Ends all; each answers with the pictures that are done. */
  interrupt(tenant: string): void {
    for (const { stop } of this.#running.get(tenant) ?? []) stop.abort();
  }
}
