// The models of all workers. The workers are asked at most once in a few seconds.
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { ModelCard } from "../../protocol/wire/model_card.ts";
import { aliasNamed, isWide, type ModelAlias, targetOf } from "./model_aliases.ts";
import type { WorkerPool } from "./worker_pool.ts";

export interface ModelCatalogOptions {
  worker: Pick<WorkerPool, "models">;
  /** Names that stand for models. @default none */
  aliases?: readonly ModelAlias[] | undefined;
  /** Largest age of an answer, in milliseconds. @default 5000 */
  ttlMs?: number;
  /** Milliseconds. @default performance.now */
  now?: () => number;
}

/** Models that an error names. */
const MAX_NAMED = 20;

export class ModelCatalog {
  readonly #options: Required<ModelCatalogOptions> & { aliases: readonly ModelAlias[] };
  #cards: Promise<ModelCard[]> | undefined;
  #current: readonly ModelCard[] | undefined;
  #askedAt = 0;

  constructor(options: ModelCatalogOptions) {
    this.#options = {
      ttlMs: 5000,
      now: () => performance.now(),
      ...options,
      aliases: options.aliases ?? [],
    };
  }

  /** Returns the models of all workers, the default one first. @throws {ApiError} 503 */
  list(): Promise<ModelCard[]> {
    const { worker, ttlMs, now } = this.#options;
    if (this.#cards === undefined || now() - this.#askedAt > ttlMs) {
      const cards = worker.models();
      this.#cards = cards;
      this.#current = undefined;
      this.#askedAt = now();
      cards.then((list) => {
        if (this.#cards === cards) this.#current = list;
      }, () => {});
      // Requests that asked together get the same failure. The next request asks again.
      cards.catch(() => {
        if (this.#cards === cards) this.#cards = undefined;
      });
    }
    return this.#cards;
  }

  /** Returns the list itself while it is young enough. Another list means that models may have changed. */
  current(): readonly ModelCard[] | undefined {
    const { ttlMs, now } = this.#options;
    return now() - this.#askedAt > ttlMs ? undefined : this.#current;
  }

  /** Returns the alias of this name, whether or not its model is served. */
  aliasOf(name: string | undefined): ModelAlias | undefined {
    return name === undefined ? undefined : aliasNamed(name, this.#options.aliases);
  }

  /** Returns the aliases of one name whose models are served. @throws {ApiError} 503 */
  async listAliases(): Promise<{ name: string; card: ModelCard }[]> {
    const cards = await this.list();
    return this.#options.aliases.flatMap((alias) => {
      const card = targetOf(alias, cards);
      // A model that has this name goes before an alias.
      return card === undefined || isWide(alias) || cards.some(({ id }) => id === alias.name)
        ? []
        : [{ name: alias.name, card }];
    });
  }

  /**
   * Returns a model by its name or an alias, or the default model if there is no name.
   * @throws {ApiError} 404, 503
   */
  async find(id: string | undefined): Promise<ModelCard> {
    const cards = await this.list();
    const alias = this.aliasOf(id);
    const card = id === undefined
      ? cards[0]
      : cards.find((card) => card.id === id) ?? (alias && targetOf(alias, cards));
    if (card !== undefined) return card;
    const names = [...cards.map(({ id }) => id), ...(await this.listAliases()).map(({ name }) => name)];
    const known = names.length === 0 ? "" : `. There is ${names.slice(0, MAX_NAMED).join(", ")}`;
    throw new ApiError(404, `The model '${(id ?? "").slice(0, 100)}' does not exist${known}`, {
      param: "model",
      code: "model_not_found",
    });
  }
}
