// Walks of earlier runs: they depend on neither prompt nor seed, and most requests ask for the plan of one before.
import { LRUCache } from "lru-cache";
import { planWalk, type Walk, type WalkOptions } from "../../sampler/mod.ts";
import type { GenerateRequest } from "../request/generate_request.ts";

/** Weights of a hundred kilobytes at most each. */
const REMEMBERED_WALKS = 8;

export class RememberedWalks {
  readonly #walks = new LRUCache<string, Walk>({ max: REMEMBERED_WALKS });

  /** @param options what the rest of decides, made for `request` @param previewSteps steps whose latents are looked at */
  of(request: GenerateRequest, options: WalkOptions, previewSteps: ReadonlySet<number>): Walk {
    const { plan, historySlots, solver: { timesteps, sigmas }, measureForecastError } = options;
    const key = JSON.stringify([
      request.sampler,
      plan.length,
      historySlots,
      measureForecastError,
      [...timesteps],
      [...sigmas],
      [...previewSteps],
    ]);
    const known = this.#walks.get(key);
    if (known) return known;
    const walk = planWalk(options);
    this.#walks.set(key, walk);
    return walk;
  }
}
