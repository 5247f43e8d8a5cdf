// Plans that a plan search must not lose to: spread by hand, by window, of other searches, and taken from
// stored plans.
import {
  createForecaster,
  type MeasuredPlans,
  planOfPasses,
  planSteps,
  SAMPLER_DEFAULTS,
} from "../../../sampler/mod.ts";
import { methodWindow } from "./method_window.ts";
import type { PlanCosts } from "./plan_costs.ts";

/** Where a plan comes from, and its full steps. */
export type NamedPlan = readonly [name: string, fullSteps: readonly number[]];

/** Name of the plan that is stored for a number of passes. */
export const STORED = "stored";

/**
 * Returns the plans of each number of passes up to `most` that need no stored plan.
 * @param cost counts each step's error by the distance that the solver moves there
 */
export function rivalPlans(
  { cost, steps, most }: { cost: PlanCosts; steps: number; most: number },
): (passes: number) => NamedPlan[] {
  const { reuse, spectrum, taylorseer } = SAMPLER_DEFAULTS;
  const searches: [name: string, plans: (readonly number[])[]][] = [
    ["search for reuse", cost.bestOf(createForecaster(reuse, steps), most)],
    ["search for Spectrum", cost.bestOf(createForecaster(spectrum, steps), most)],
    [
      "search for TaylorSeer, order 2",
      cost.bestOf(createForecaster({ ...taylorseer, order: 2 }, steps), most),
    ],
    ["search by predicted errors alone", cost.best(most)],
  ];
  return (passes) => {
    const spread = (rule: (share: number) => number) => byHand(rule, { passes, steps });
    const plans: NamedPlan[] = [
      ["by hand: even", spread((share) => share)],
      ["by hand: denser at the start", spread((share) => share ** 1.3)],
      ["by hand: denser at the end", spread((share) => share ** 0.8)],
      ["by hand: denser at both ends", spread((share) => (1 - Math.cos(Math.PI * share)) / 2)],
      ["Spectrum's window", windowPlan("spectrum", { passes, steps })],
      ["TaylorSeer's window", windowPlan("taylorseer", { passes, steps })],
      ...searches.map(([name, plans]) => [name, plans[passes - 1] ?? []] as const),
    ];
    return plans.filter(([, { length }]) => length === passes);
  };
}

/** Returns the plans that stored ones give: their own, and what they give where that is left out. */
export function storedRivals(
  plans: MeasuredPlans,
  { passes, steps }: { passes: number; steps: number },
): NamedPlan[] {
  const { [steps]: own = {}, ...elsewhere } = plans;
  const { [passes]: stored, ...others } = own;
  const given: [name: string, plans: MeasuredPlans][] = [
    ["plan of a pass less, and one more", { [steps]: others }],
    ["plan for other steps, stretched", elsewhere],
  ];
  return [
    ...stored ? [[STORED, stored.fullSteps] as const] : [],
    ...given.filter(([, plans]) => Object.values(plans).some((byPasses) => Object.keys(byPasses).length > 0))
      .map(([name, plans]) => [name, planOfPasses(plans, passes, { steps })] as const)
      .filter(([, { length }]) => length === passes),
  ];
}

/** Spreads the passes over the steps by a rule from 0..1 to 0..1. */
function byHand(
  rule: (share: number) => number,
  { passes, steps }: { passes: number; steps: number },
): number[] {
  return [...new Set(Array.from({ length: passes }, (_, i) => Math.round(rule(i / passes) * steps)))];
}

function windowPlan(
  method: "spectrum" | "taylorseer",
  { passes, steps }: { passes: number; steps: number },
): number[] {
  const window = methodWindow({ method }, { passes, steps });
  if (window === undefined) return [];
  const { warmupSteps, tailSteps, windowSize, flexWindow } = window;
  const kinds = planSteps(steps, {
    fullPasses: { by: "window", warmupSteps, tailSteps, windowSize, flexWindow },
  });
  return kinds.flatMap((kind, i) => kind === "full" ? [i] : []);
}
