// The number of features that a run keeps, which bounds its memory.

import { MAX_BUDGET_SLOTS } from "./error_window.ts";
import { countHistorySlots, type FullPassRule, type StepKind } from "./step_plan.ts";

/** Returns the number of history slots of a run. Under an error budget only the length of the plan counts. */
export function historySlots(
  plan: readonly StepKind[],
  { fullPasses }: { fullPasses: FullPassRule },
): number {
  if (fullPasses.by !== "errorBudget") return countHistorySlots(plan);
  return Math.max(2, Math.min(plan.length, MAX_BUDGET_SLOTS));
}
