// Counts the branches of guidance: classifier-free guidance runs the network for the negative prompt as well.
import type { GenerateRequest } from "./generate_request.ts";
import type { RequestRules } from "./request_rules.ts";

type GuidanceRules = Pick<RequestRules, "guidance" | "unguidedScale">;

/** Returns the number of branches: 2 under classifier-free guidance, else 1. */
export function guidanceBranches(request: GuidanceScales, rules: GuidanceRules): 1 | 2 {
  return cfgScale(request, rules) > 1 ? 2 : 1;
}

/**
 * Returns the scale of classifier-free guidance, of which 1 is none. Models with distilled guidance have
 * a separate field for it.
 */
export function cfgScale(
  { guidanceScale, trueCfgScale }: GuidanceScales,
  { guidance, unguidedScale = 1 }: GuidanceRules,
): number {
  return guidance === "cfg" ? guidanceScale + 1 - unguidedScale : trueCfgScale;
}

type GuidanceScales = Pick<GenerateRequest, "guidanceScale" | "trueCfgScale">;
