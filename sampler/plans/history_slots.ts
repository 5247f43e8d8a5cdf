// How many features a run keeps, which bounds its memory: known from the plan, or set where the run makes its plan.

import { MAX_BUDGET_SLOTS } from "./error_window.ts";
import type { SamplerOptions } from "../sampler_options.ts";
import { countHistorySlots, type StepKind } from "./step_plan.ts";

/** Whether full passes decide when the next one is due. */
export function isAdaptive({ method, errorBudget }: Pick<SamplerOptions, "method" | "errorBudget">): boolean {
  return method !== "none" && errorBudget > 0;
}

/** Slots of the history of a run with that plan, of which only the length counts where the options are adaptive. */
export function historySlots(
  plan: readonly StepKind[],
  options: Pick<SamplerOptions, "method" | "errorBudget">,
): number {
  if (!isAdaptive(options)) return countHistorySlots(plan);
  return Math.max(2, Math.min(plan.length, MAX_BUDGET_SLOTS));
}
