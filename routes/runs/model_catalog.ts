// Which models there are, as the workers tell it, asked for at most once in a few seconds.
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { ModelCard } from "../../protocol/wire/model_card.ts";
import type { WorkerPool } from "./worker_pool.ts";

export interface ModelCatalogOptions {
  worker: Pick<WorkerPool, "models">;
  /** Largest age of an answer, in milliseconds. @default 5000 */
  ttlMs?: number;
  /** Milliseconds. @default performance.now */
  now?: () => number;
}

export class ModelCatalog {
  readonly #options: Required<ModelCatalogOptions>;
  #cards: Promise<ModelCard[]> | undefined;
  #askedAt = 0;

  constructor(options: ModelCatalogOptions) {
    this.#options = { ttlMs: 5000, now: () => performance.now(), ...options };
  }

  /** The default model first. @throws {ApiError} 503 */
  list(): Promise<ModelCard[]> {
    const { worker, ttlMs, now } = this.#options;
    if (this.#cards === undefined || now() - this.#askedAt > ttlMs) {
      const cards = worker.models();
      this.#cards = cards;
      this.#askedAt = now();
      // A failure is for those who asked together; the next one asks again.
      cards.catch(() => {
        if (this.#cards === cards) this.#cards = undefined;
      });
    }
    return this.#cards;
  }

  /** The default model unless named. @throws {ApiError} 404, 503 */
  async find(id: string | undefined): Promise<ModelCard> {
    const cards = await this.list();
    const card = id === undefined ? cards[0] : cards.find((card) => card.id === id);
    if (card !== undefined) return card;
    throw new ApiError(404, `The model '${(id ?? "").slice(0, 100)}' does not exist`, {
      param: "model",
      code: "model_not_found",
    });
  }
}
