// The number of features that a run keeps, which bounds its memory.

import { MAX_BUDGET_SLOTS } from "./error_window.ts";
import { listPhases, ONE_PHASE, type Phases } from "./phases.ts";
import { countHistorySlots, type FullPassRule, type StepKind } from "./step_plan.ts";

/**
 * Returns the number of history slots of a run, for its phase that needs most. Under an error budget only the
 * length of the plan counts.
 */
export function historySlots(
  plan: readonly StepKind[],
  { fullPasses, phases = ONE_PHASE }: { fullPasses: FullPassRule; phases?: Phases },
): number {
  if (fullPasses.by === "errorBudget") return Math.max(2, Math.min(plan.length, MAX_BUDGET_SLOTS));
  const all = listPhases(plan.length, phases);
  return Math.max(...all.map(({ start, end }) => countHistorySlots(plan.slice(start, end))));
}
