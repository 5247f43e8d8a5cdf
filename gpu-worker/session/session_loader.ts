// Loads a pipeline's graphs: all at once, or in turn if memory cannot hold all of them.
import type { OnnxModel } from "../graph/graph_builder.ts";
import type { Runtime, Session } from "../runtime/mod.ts";
import { trimHeap } from "../runtime/trim_heap.ts";
import { CACHED_BYTES, type GraphCache } from "./graph_cache.ts";
import { castEachRun } from "./cast_each_run.ts";
import { COMPUTED_BYTES, loadComputed } from "./load_computed.ts";
import type { WeightStore } from "./weight_store.ts";

/** A graph to run, whether or not it is loaded now. `prepare` exists only if the graph stays loaded. */
export type GraphSession = Pick<Session, "run" | "inputNames"> & Partial<Pick<Session, "prepare">>;

/** How a graph is used. */
export interface GraphUse {
  /**
   * Whether it runs once a prompt. On the CPU, such a graph keeps large matrices in their files' type, and
   * casts them when it runs. @default false
   */
  isRare?: boolean;
}

export interface SessionLoaderOptions {
  /**
   * Loads a graph when it runs, and frees it before a graph of another group is loaded. Missing weights and
   * unsupported nodes are then found at the first run instead of at once. @default false
   */
  offload?: boolean;
  /** Cache of optimized graphs. @default no cache */
  graphCache?: GraphCache;
  /** Converts weights that ONNX Runtime cannot use as they are. @default no graph has such */
  weightStore?: WeightStore;
}

/** Loads and owns sessions. Offloaded graphs must not run at the same time. */
export class SessionLoader implements Disposable {
  readonly #runtime: Runtime;
  readonly #offload: boolean;
  readonly #cache: GraphCache | undefined;
  readonly #weights: WeightStore | undefined;
  #loaded = new Map<OnnxModel, Session>();
  /** The group of the loaded graphs under offloading. */
  #group: object | undefined;

  constructor(runtime: Runtime, { offload = false, graphCache, weightStore }: SessionLoaderOptions) {
    this.#runtime = runtime;
    this.#offload = offload;
    this.#cache = graphCache;
    this.#weights = weightStore;
  }

  /** Loads a graph as a group of its own. @throws {OrtError} naming the graph. */
  async load(model: OnnxModel, use?: GraphUse): Promise<GraphSession> {
    return (await this.loadTogether({ model }, use)).model;
  }

  /**
   * Loads a group: graphs that alternate, and therefore stay in memory together.
   * @throws {OrtError} naming the graph.
   */
  async loadTogether<K extends string>(
    models: Record<K, OnnxModel>,
    use: GraphUse = {},
  ): Promise<Record<K, GraphSession>> {
    const sessions: Partial<Record<K, GraphSession>> = {};
    for (const name in models) {
      const model = models[name];
      sessions[name] = this.#offload
        ? this.#offloaded(model, { group: models, use })
        : await this.#load(model, use);
    }
    return sessions as Record<K, GraphSession>;
  }

  /** Returns a graph that is loaded when it first runs, as few runs need it. */
  later(model: OnnxModel, use: GraphUse = {}): GraphSession {
    if (this.#offload) return this.#offloaded(model, { group: { model }, use });
    let loading: Promise<Session> | undefined;
    const load = async () => {
      try {
        return await (loading ??= this.#load(model, use));
      } catch (cause) {
        loading = undefined;
        throw cause;
      }
    };
    return {
      inputNames: [...model.inputNames],
      run: async (feeds, options) => await (await load()).run(feeds, options),
    };
  }

  [Symbol.dispose](): void {
    for (const session of this.#loaded.values()) session[Symbol.dispose]();
    this.#loaded.clear();
  }

  #offloaded(model: OnnxModel, { group, use }: { group: object; use: GraphUse }): GraphSession {
    return {
      inputNames: [...model.inputNames],
      run: async (feeds, options) => {
        if (this.#group !== group && this.#group !== undefined) {
          this[Symbol.dispose]();
          trimHeap();
        }
        this.#group = group;
        const session = this.#loaded.get(model) ?? await this.#load(model, use);
        return await session.run(feeds, options);
      },
    };
  }

  async #load(model: OnnxModel, { isRare = false }: GraphUse): Promise<Session> {
    const placed = await this.#weights?.place(model) ?? model;
    // The cache has smaller graphs with their matrices cast.
    const isLarge = model.weightBytes > CACHED_BYTES;
    const isCast = isRare && isLarge && this.#runtime.provider === "cpu";
    const session = await this.#open(isCast ? castEachRun(placed) : placed);
    this.#loaded.set(model, session);
    // glibc keeps the weights that were freed once they were packed: of SDXL's UNet, a gigabyte.
    if (isLarge) trimHeap();
    return session;
  }

  async #open(model: OnnxModel): Promise<Session> {
    const isComputed = model.weightBytes > COMPUTED_BYTES;
    if (isComputed && this.#runtime.provider === "cpu") return await loadComputed(this.#runtime, model);
    return await (this.#cache?.load(model) ?? this.#runtime.createSession(model));
  }
}
