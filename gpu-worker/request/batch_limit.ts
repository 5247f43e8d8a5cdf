// Decides how many pictures are worth making together (docs/decisions/0025-batches-of-pictures.md).
import type { GenerateRequest } from "./generate_request.ts";
import { guidanceBranches } from "./guidance_branches.ts";
import { imageTokens } from "./image_tokens.ts";
import type { RequestRules } from "./request_rules.ts";
import type { ImageSize } from "../media/decoded_image.ts";

/**
 * A full pass over more image tokens than this (all branches together) gains nothing from another picture.
 */
const BATCH_TOKENS = 1024;

/** Returns how many requests like this one fill a full pass; 1 for a request that must run alone. */
export function batchLimit(request: GenerateRequest<ImageSize>, rules: RequestRules): number {
  if (rules.video !== undefined || rules.drawnAlone === true) return 1;
  // Runs with an error budget choose their own steps. Skip-layer
  // guidance runs a second network for some of the rows.
  if (request.sampler.fullPasses.by === "errorBudget" || request.skipLayerGuidance !== undefined) return 1;
  // Prompts of one batch have equal lengths.
  if (request.longPrompts) return 1;
  const rows = imageTokens(request, rules) * guidanceBranches(request, rules);
  return Math.max(1, Math.floor(BATCH_TOKENS / rows));
}
