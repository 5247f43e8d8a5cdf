// Holds the checkpoints that a worker serves. Loads one on first
// use and unloads it when it is idle or memory runs short.
import { type Clock, systemClock } from "../../protocol/process/clock.ts";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { CheckpointError } from "../checkpoint/checkpoint_error.ts";
import type { ModelInfo, Pipeline } from "../pipeline/pipeline.ts";
import type { ModelDescription } from "../request/model_description.ts";

/** A checkpoint that can be loaded, and its description, which is known before loading. */
export interface ModelSource {
  info: ModelInfo;
  description: ModelDescription;
  open(): Promise<Pipeline>;
}

export interface ModelPoolOptions {
  /** The served models; the first is the default. */
  sources: readonly ModelSource[];
  /** Largest number of models in memory. @default 1 */
  maxLoaded?: number;
  /** Unloads a model that has been idle for this long; 0 keeps it. @default 0 */
  idleMs?: number;
  /** Unloads idle models before a load if less memory than this is free, in bytes. @default 0 */
  minFreeBytes?: number;
  /** Returns the free memory in bytes. @default the host's */
  freeBytes?: () => number;
  onChange?: (loaded: readonly string[]) => void;
  /** @default the host's */
  clock?: Clock;
}

/** A lease on a loaded model, which stays in memory until the lease is disposed of. */
export interface ModelLease extends Disposable {
  pipeline: Pipeline;
  /**
   * Says that the device is lost. Every model is then loaded anew, once the runs that use
   * the old ones have ended.
   */
  deviceLost(): void;
}

interface Loaded {
  pipeline: Pipeline;
  users: number;
  lastUsed: number;
  idleTimer: Disposable | undefined;
  /** Resolved when the pipeline is disposed of. */
  gone: PromiseWithResolvers<void>;
}

export class ModelPool implements Disposable {
  readonly #options: Required<ModelPoolOptions>;
  readonly #loaded = new Map<string, Loaded>();
  /** Pipelines on a lost device that runs still use. All models of a process share the device. */
  readonly #lost = new Set<Loaded>();
  /** Serializes loads and unloads, so that two never compete for memory. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: ModelPoolOptions) {
    this.#options = {
      maxLoaded: 1,
      idleMs: 0,
      minFreeBytes: 0,
      freeBytes: () => Deno.systemMemoryInfo().available,
      onChange: () => {},
      clock: systemClock,
      ...options,
    };
  }

  /** The served models; the first is the default. */
  get sources(): readonly ModelSource[] {
    return this.#options.sources;
  }

  isLoaded(id: string): boolean {
    return this.#loaded.has(id);
  }

  /**
   * Returns the description of `id` without loading it.
   * @throws {ApiError} 404 for a model that is not served.
   */
  describe(id: string): ModelDescription {
    return this.#source(id).description;
  }

  /**
   * Leases the model `id` and loads it if necessary.
   * @throws {ApiError} 404 for a model that is not served, 500 for one whose files have changed.
   */
  lease(id: string): Promise<ModelLease> {
    const source = this.#source(id);
    const lease = this.#turn.then(async () => {
      await Promise.all([...this.#lost].map(({ gone }) => gone.promise));
      const loaded = this.#loaded.get(id) ?? await this.#load(source);
      loaded.idleTimer?.[Symbol.dispose]();
      loaded.users++;
      return {
        pipeline: loaded.pipeline,
        deviceLost: () => this.#loseDevice(),
        [Symbol.dispose]: () => this.#release(id, loaded),
      };
    });
    this.#turn = lease.catch(() => {});
    return lease;
  }

  [Symbol.dispose](): void {
    for (const id of [...this.#loaded.keys()]) this.#unload(id);
  }

  #source(id: string): ModelSource {
    const source = this.#options.sources.find(({ info }) => info.id === id);
    if (source === undefined) throw modelNotFound(id);
    return source;
  }

  async #load(source: ModelSource): Promise<Loaded> {
    this.#makeRoom();
    const pipeline = await openUnchanged(source);
    const loaded: Loaded = {
      pipeline,
      users: 0,
      lastUsed: this.#options.clock.now(),
      idleTimer: undefined,
      gone: Promise.withResolvers<void>(),
    };
    this.#loaded.set(source.info.id, loaded);
    this.#options.onChange([...this.#loaded.keys()]);
    return loaded;
  }

  /**
   * Unloads idle models, least recently used first. Models in use stay, even if the room is then too small.
   */
  #makeRoom(): void {
    const { maxLoaded, minFreeBytes, freeBytes } = this.#options;
    const idle = [...this.#loaded].filter(([, { users }]) => users === 0)
      .sort(([, a], [, b]) => a.lastUsed - b.lastUsed);
    for (const [id] of idle) {
      if (this.#loaded.size < maxLoaded && freeBytes() >= minFreeBytes) return;
      this.#unload(id);
    }
  }

  #release(id: string, loaded: Loaded): void {
    loaded.users--;
    if (this.#lost.has(loaded)) {
      if (loaded.users === 0) this.#dispose(loaded);
      return;
    }
    const { idleMs, clock } = this.#options;
    loaded.lastUsed = clock.now();
    if (loaded.users > 0 || idleMs === 0) return;
    loaded.idleTimer = clock.after(idleMs, () => {
      if (loaded.users === 0) this.#unload(id);
    });
  }

  #loseDevice(): void {
    for (const [id, loaded] of this.#loaded) {
      if (loaded.users === 0) {
        this.#unload(id);
        continue;
      }
      this.#loaded.delete(id);
      this.#lost.add(loaded);
    }
    this.#options.onChange([...this.#loaded.keys()]);
  }

  #dispose(loaded: Loaded): void {
    this.#lost.delete(loaded);
    loaded.pipeline[Symbol.dispose]();
    loaded.gone.resolve();
  }

  #unload(id: string): void {
    const loaded = this.#loaded.get(id);
    if (loaded === undefined) return;
    loaded.idleTimer?.[Symbol.dispose]();
    this.#loaded.delete(id);
    this.#dispose(loaded);
    this.#options.onChange([...this.#loaded.keys()]);
  }
}

/**
 * Opens a model as it was described at the worker's start: results are stored under that digest.
 * @throws {ApiError} 500 if its files have changed or gone since.
 */
async function openUnchanged({ info, open }: ModelSource): Promise<Pipeline> {
  const pipeline = await open().catch((cause) => {
    throw cause instanceof CheckpointError ? modelChanged(info.id, cause) : cause;
  });
  if (pipeline.model.digest === info.digest) return pipeline;
  pipeline[Symbol.dispose]();
  throw modelChanged(info.id);
}

function modelChanged(id: string, cause?: CheckpointError): ApiError {
  return new ApiError(
    500,
    `The files of the model '${id}' have changed or gone since its worker began. Restart the worker.`,
    { code: "model_changed", cause },
  );
}

function modelNotFound(id: string): ApiError {
  return new ApiError(404, `The model '${id.slice(0, 100)}' does not exist`, {
    param: "model",
    code: "model_not_found",
  });
}
