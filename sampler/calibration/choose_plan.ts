// Chooses a calibration's plan for a run of any length.

import type { MeasuredPlan, MeasuredPlans } from "./calibration.ts";

/** The run that a plan is wanted for. */
export interface PlannedRun {
  /** Steps of the whole schedule. */
  steps: number;
  /** Steps that an image to start from leaves out at the beginning. @default 0 */
  skipped?: number;
}

/**
 * Returns the full steps of a run with exactly `passes` full passes.
 *
 * A plan for another number of steps is stretched. If no plan has this number of passes, a plan with fewer
 * gets passes in the middle of its longest gaps. A run of fewer passes than any plan takes an even choice of
 * the smallest plan.
 */
export function planOfPasses(plans: MeasuredPlans, passes: number, run: PlannedRun): number[] {
  const { steps, skipped = 0 } = run;
  const candidates = measuredFor(plans, steps).map(({ of, plan }) => stretch(plan.fullSteps, { of, ...run }));
  const smaller = candidates.findLast(({ length }) => length <= passes);
  const count = Math.min(passes, steps - skipped);
  return smaller ? fill(smaller, { passes: count, steps: steps - skipped }) : thin(candidates[0]!, passes);
}

/**
 * Returns the plan of the fewest full passes that has reached `psnr`, or the plan that has reached most.
 */
export function planOfQuality(plans: MeasuredPlans, psnr: number, run: PlannedRun): number[] {
  const measured = measuredFor(plans, run.steps);
  const best = measured.reduce((a, b) => b.plan.psnr > a.plan.psnr ? b : a);
  const { of, plan } = measured.find(({ plan }) => plan.psnr >= psnr) ?? best;
  return stretch(plan.fullSteps, { of, ...run });
}

/**
 * Returns the plan that the run of all steps has for `passes`, without the steps that an image leaves out.
 */
export function planOfWhole(plans: MeasuredPlans, passes: number, run: PlannedRun): number[] {
  const whole = planOfPasses(plans, passes, { steps: run.steps });
  return stretch(whole, { of: run.steps, ...run });
}

/** Returns the PSNR that a plan has reached, if it was measured for this very run. */
export function measuredPsnr(
  plans: MeasuredPlans,
  { fullSteps, steps }: { fullSteps: readonly number[]; steps: number },
): number | undefined {
  const plan = plans[steps]?.[fullSteps.length];
  return plan?.fullSteps.join() === fullSteps.join() ? plan.psnr : undefined;
}

/** Returns the plans for the nearest number of steps, ascending by passes. */
function measuredFor(plans: MeasuredPlans, steps: number): { of: number; plan: MeasuredPlan }[] {
  const distance = (of: number) => Math.abs(Math.log(of / steps));
  const of = Object.keys(plans).map(Number).reduce((a, b) => distance(b) < distance(a) ? b : a);
  return Object.values(plans[of]!).map((plan) => ({ of, plan }))
    .sort((a, b) => a.plan.fullSteps.length - b.plan.fullSteps.length);
}

/** Moves a plan for `of` steps to a run of `steps`, of which the first `skipped` are left out. */
function stretch(
  fullSteps: readonly number[],
  { of, steps, skipped = 0 }: PlannedRun & { of: number },
): number[] {
  const moved = fullSteps.map((step) => Math.round(step * steps / of) - skipped)
    .filter((step) => step > 0 && step < steps - skipped);
  return [...new Set([0, ...moved])];
}

/** Picks `passes` of a plan's steps, evenly, with the first among them. */
function thin(fullSteps: readonly number[], passes: number): number[] {
  return Array.from({ length: passes }, (_, i) => fullSteps[Math.floor(i * fullSteps.length / passes)]!);
}

/** Adds full steps in the middle of the longest gaps. */
function fill(
  fullSteps: readonly number[],
  { passes, steps }: { passes: number; steps: number },
): number[] {
  const filled = [...fullSteps];
  while (filled.length < passes) {
    const gaps = filled.map((step, i) => (filled[i + 1] ?? steps) - step);
    const longest = gaps.indexOf(Math.max(...gaps));
    filled.splice(longest + 1, 0, filled[longest]! + Math.floor(gaps[longest]! / 2));
  }
  return filled;
}
