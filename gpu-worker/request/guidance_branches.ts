// Classifier-free guidance runs the network for the negative prompt as well.
import type { GenerateRequest } from "./generate_request.ts";
import type { RequestRules } from "./request_rules.ts";

/** Returns how many prompts a step takes: 2 under classifier-free guidance, else 1. */
export function guidanceBranches(
  { guidanceScale, trueCfgScale }: Pick<GenerateRequest, "guidanceScale" | "trueCfgScale">,
  { guidance }: Pick<RequestRules, "guidance">,
): 1 | 2 {
  const scale = guidance === "cfg" ? guidanceScale : trueCfgScale;
  return scale > 1 ? 2 : 1;
}
