// How many features a run keeps, which bounds its memory: known from the plan, or set where the run makes its plan.

import { MAX_BUDGET_SLOTS } from "./error_window.ts";
import { countHistorySlots, type FullPassRule, type StepKind } from "./step_plan.ts";

/** Slots of the history of a run with that plan, of which only the length counts under an error budget. */
export function historySlots(
  plan: readonly StepKind[],
  { fullPasses }: { fullPasses: FullPassRule },
): number {
  if (fullPasses.by !== "errorBudget") return countHistorySlots(plan);
  return Math.max(2, Math.min(plan.length, MAX_BUDGET_SLOTS));
}
