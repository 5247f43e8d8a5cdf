// Searches a step plan for each number of full passes: candidates from the predicted costs, then hill climbing by real runs.
import type { ModelCalibration } from "../../request/model_calibration.ts";
import { Mt19937 } from "../../../sampler/numerics/mt19937.ts";
import { planSteps, SAMPLER_DEFAULTS } from "../../../sampler/mod.ts";
import type { PlanCosts } from "./plan_costs.ts";
import { advantage, type Trials, type TrialSet } from "./trials.ts";

export interface SearchPlansOptions {
  trials: Trials;
  set: TrialSet;
  calibration: ModelCalibration;
  /** The predictions to begin with. */
  costs: readonly PlanCosts[];
  passes: { least: number; most: number };
  /** Plans to draw at most for each number of passes. */
  limit: number;
  /** Plans to try besides the predicted ones, by number of passes. */
  hints: ReadonlyMap<number, readonly number[]>;
  /** Called before the search for each number of passes. */
  onPasses: (passes: number) => void;
}

/** A change of plan must gain this many dB, so that the search does not walk along a plateau. */
const LEAST_GAIN = 0.01;

/** Returns the best plan that was found for each number of full passes. */
export async function searchPlans(options: SearchPlansOptions): Promise<Map<number, readonly number[]>> {
  const { passes: { least, most }, costs, set, hints, onPasses } = options;
  const predicted = costs.map((cost) => cost.best(most));
  const windows = publishedPlans(set.steps);
  const found = new Map<number, readonly number[]>();
  for (let passes = least; passes <= most; passes++) {
    onPasses(passes);
    const smaller = found.get(passes - 1);
    const candidates = [
      ...predicted.map((plans) => plans[passes - 1]!),
      hints.get(passes),
      smaller && extended(smaller, set.steps, costs[0]!),
      windows.get(passes),
    ].filter((plan) => plan !== undefined);
    found.set(passes, await climb(distinct(candidates), options));
  }
  return found;
}

/** Tries the candidates, then moves single full passes of the best one as long as that helps. */
async function climb(
  candidates: readonly (readonly number[])[],
  { trials, set, calibration, limit }: SearchPlansOptions,
): Promise<readonly number[]> {
  const tried = new Set<string>();
  let best: { plan: readonly number[]; psnrs: readonly number[] } | undefined;
  const attempt = async (plan: readonly number[]): Promise<boolean> => {
    if (tried.has(plan.join()) || tried.size >= limit) return false;
    tried.add(plan.join());
    const psnrs = await trials.psnrs(plan, { set, calibration, incumbent: best?.psnrs });
    if (best && (psnrs.length < set.prompts.length || advantage(psnrs, best.psnrs) < LEAST_GAIN)) {
      return false;
    }
    best = { plan, psnrs };
    return true;
  };
  for (const plan of candidates) await attempt(plan);
  const random = new Mt19937(candidates[0]!.length);
  let distance = 1;
  while (tried.size < limit) {
    const moves = shuffled(movesOf(best!.plan, { distance, steps: set.steps }), random);
    let moved = false;
    for (const plan of moves) moved = await attempt(plan) || moved;
    if (moved) distance = 1;
    else if (++distance > 3) break;
  }
  return best!.plan;
}

/** Returns the plans in which one full pass is `distance` steps earlier or later. */
function movesOf(
  plan: readonly number[],
  { distance, steps }: { distance: number; steps: number },
): number[][] {
  const moves: number[][] = [];
  for (let i = 1; i < plan.length; i++) {
    for (const step of [plan[i]! - distance, plan[i]! + distance]) {
      if (step > plan[i - 1]! && step < (plan[i + 1] ?? steps)) moves.push(plan.with(i, step));
    }
  }
  return moves;
}

/** Adds the full pass that lowers the predicted cost most. */
function extended(plan: readonly number[], steps: number, costs: PlanCosts): number[] | undefined {
  let best: number[] | undefined;
  let least = Infinity;
  for (let step = 1; step < steps; step++) {
    if (plan.includes(step)) continue;
    const longer = [...plan, step].sort((a, b) => a - b);
    const cost = costs.of(longer);
    if (cost < least) [best, least] = [longer, cost];
  }
  return best;
}

/** Returns the plans of Spectrum's published windows and of windows in between. */
function publishedPlans(steps: number): Map<number, number[]> {
  const plans = new Map<number, number[]>();
  for (const flexWindow of [3, 2, 1.5, 1, 0.75, 0.5, 0.25]) {
    const plan = planSteps(steps, { fullPasses: { by: "window", ...SAMPLER_DEFAULTS.spectrum, flexWindow } });
    const fullSteps = plan.flatMap((kind, i) => kind === "full" ? [i] : []);
    plans.set(fullSteps.length, fullSteps);
  }
  return plans;
}

function distinct(plans: readonly (readonly number[])[]): (readonly number[])[] {
  return [...new Map(plans.map((plan) => [plan.join(), plan])).values()];
}

function shuffled<T>(items: T[], random: Mt19937): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = random.next() % (i + 1);
    [items[i], items[j]] = [items[j]!, items[i]!];
  }
  return items;
}
