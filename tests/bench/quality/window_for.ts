// The window that gives a number of full passes: the smallest growth, then the smallest window, that does.
import { planSteps, type StepPlanOptions } from "../../../sampler/mod.ts";

const MAX_WINDOW = 12;
const MAX_GROWTH = 45;
const GROWTH_STEP = 0.05;

/**
 * @param base the method's own window and warm-up; its window is kept where `keepWindow`, as Spectrum's is in the paper
 * @throws {RangeError} if no window gives that many
 */
export function windowFor(
  passes: number,
  { steps, base, keepWindow }: { steps: number; base: StepPlanOptions; keepWindow: boolean },
): Pick<StepPlanOptions, "windowSize" | "flexWindow"> {
  const windows = keepWindow ? [base.windowSize] : Array.from({ length: MAX_WINDOW }, (_, i) => i + 1);
  for (let growth = 0; growth <= MAX_GROWTH; growth += GROWTH_STEP) {
    const flexWindow = Number(growth.toFixed(2));
    for (const windowSize of windows) {
      const plan = planSteps(steps, { ...base, windowSize, flexWindow });
      if (plan.filter((kind) => kind === "full").length === passes) return { windowSize, flexWindow };
    }
  }
  throw new RangeError(`Cannot plan ${passes} of ${steps} passes as no window gives so many`);
}
