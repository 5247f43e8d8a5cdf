// How many pictures are worth making together (docs/decisions/0025-batches-of-pictures.md).
import type { GenerateRequest } from "./generate_request.ts";
import { guidanceBranches } from "./guidance_branches.ts";
import { imageTokens } from "./image_tokens.ts";
import type { RequestRules } from "./request_rules.ts";
import type { ImageSize } from "./start_image.ts";

/** A pass over more image tokens than this, those of all branches, gains nothing by another picture. */
const BATCH_TOKENS = 1024;

/** Returns how many requests like this one fill a pass; 1 for a request that must run alone. */
export function batchLimit(request: GenerateRequest<ImageSize>, rules: RequestRules): number {
  if (rules.video !== undefined) return 1;
  // Under an error budget each run goes its own way; skip-layer guidance has a second network for a part of the rows.
  if (request.sampler.fullPasses.by === "errorBudget" || request.skipLayerGuidance !== undefined) return 1;
  const rows = imageTokens(request, rules) * guidanceBranches(request, rules);
  return Math.max(1, Math.floor(BATCH_TOKENS / rows));
}
