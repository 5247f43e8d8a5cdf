// Searches a step plan for each number of full passes: candidates from the predicted costs, then
// hill climbing by real runs.
import type { ModelCalibration } from "../../request/model_calibration.ts";
import { planOfPasses } from "../../../sampler/mod.ts";
import type { PlanCosts } from "./plan_costs.ts";
import { rivalPlans } from "./rival_plans.ts";
import { advantage, type Trials, type TrialSet } from "./trials.ts";

type Plan = readonly number[];

export interface SearchPlansOptions {
  trials: Pick<Trials, "psnrs">;
  set: TrialSet;
  calibration: ModelCalibration;
  /**
   * The predictions to begin with. The first one ranks plans, the last one counts errors by the solver's
   * distances.
   */
  costs: readonly [PlanCosts, ...PlanCosts[]];
  passes: { least: number; most: number };
  /** Plans to draw at most for each number of passes. */
  limit: number;
  /** Plans to try besides the predicted ones, by number of passes. */
  hints: ReadonlyMap<number, readonly Plan[]>;
  /** Called before the search for each number of passes. */
  onPasses: (passes: number) => void;
}

/** A change of plan must gain this many dB, so that the search does not walk along a plateau. */
const LEAST_GAIN = 0.02;
/** Candidates are drawn whose predicted cost is at most this many times the least one's: 4 dB more. */
const CANDIDATE_RANGE = 2.5;
/** Moves are drawn whose predicted cost is at most this many times the best plan's. */
const COST_RANGE = 1.5;
/** Plans to draw that come from the plan of one pass more or less. */
const NEIGHBOURS = 3;

/**
 * Returns the best plan that was found for each number of full passes. The second round, from the most passes
 * to the least, lets a good plan of more passes hand on what it found.
 */
export async function searchPlans(options: SearchPlansOptions): Promise<Map<number, Plan>> {
  const { passes: { least, most }, costs: [cost], set: { steps }, hints, limit, onPasses } = options;
  const candidates = candidatesOf(options);
  const climbs = new Map<number, Climb>();
  for (let passes = least; passes <= most; passes++) {
    onPasses(passes);
    const climb = new Climb(options);
    climbs.set(passes, climb);
    const smaller = climbs.get(passes - 1)?.best;
    const plans = [
      ...candidates(passes),
      ...smaller ? [...withOneMore(smaller, { cost, steps }), filled(smaller, steps)] : [],
    ];
    // The first good one lets the others be given up early.
    const priced = plans.map((plan) => ({ plan, cost: cost.of(plan) })).sort((a, b) => a.cost - b.cost);
    const likely = priced.filter(({ cost }) => cost <= CANDIDATE_RANGE * priced[0]!.cost);
    await climb.from([...hints.get(passes) ?? [], ...likely.map(({ plan }) => plan)], limit - NEIGHBOURS);
  }
  for (let passes = most - 1; passes >= least; passes--) {
    onPasses(passes);
    await climbs.get(passes)!.from(withOneLess(climbs.get(passes + 1)!.best, { cost, steps }), limit);
  }
  return new Map([...climbs].map(([passes, { best }]) => [passes, best]));
}

/** The search for one number of passes. */
class Climb {
  readonly #options: SearchPlansOptions;
  readonly #tried = new Set<string>();
  #best: { plan: Plan; psnrs: readonly number[] } | undefined;

  constructor(options: SearchPlansOptions) {
    this.#options = options;
  }

  get best(): Plan {
    return this.#best!.plan;
  }

  /**
   * Tries the candidates. If one of them is better than all before, moves its passes as long as that helps.
   * Stops when `limit` plans have been tried in all.
   */
  async from(candidates: readonly Plan[], limit: number): Promise<void> {
    const before = this.#best;
    for (const plan of candidates) await this.#attempt(plan, limit);
    if (this.#best === before) return;
    while (await this.#move(limit)) { /* The next moves start from the better plan. */ }
  }

  /** Whether one of the moves, tried in the order of their predicted costs, is better. */
  async #move(limit: number): Promise<boolean> {
    const { costs: [cost], set: { steps } } = this.#options;
    const most = COST_RANGE * cost.of(this.best);
    const moves = movesOf(this.best, steps).map((plan) => ({ plan, cost: cost.of(plan) }))
      .filter(({ cost }) => cost <= most).sort((a, b) => a.cost - b.cost);
    for (const { plan } of moves) {
      if (await this.#attempt(plan, limit)) return true;
    }
    return false;
  }

  async #attempt(plan: Plan, limit: number): Promise<boolean> {
    const { trials, set, calibration, limit: all } = this.#options;
    // One plan is always tried.
    if (this.#tried.has(plan.join()) || this.#tried.size >= Math.max(1, limit)) return false;
    this.#tried.add(plan.join());
    if (all === 1) {
      // The only plan has nothing to be compared with.
      this.#best = { plan, psnrs: [] };
      return false;
    }
    const best = this.#best;
    const psnrs = await trials.psnrs(plan, { set, calibration, incumbent: best?.psnrs });
    if (best && (psnrs.length < set.prompts.length || advantage(psnrs, best.psnrs) < LEAST_GAIN)) {
      return false;
    }
    this.#best = { plan, psnrs };
    return true;
  }
}

/** Returns the candidates of a number of passes: predicted ones, and all rivals. */
function candidatesOf(
  { costs, passes: { most }, set: { steps } }: SearchPlansOptions,
): (passes: number) => Plan[] {
  const predicted = costs.map((cost) => cost.best(most));
  const rivals = rivalPlans({ cost: costs.at(-1)!, steps, most });
  return (passes) =>
    distinct([
      ...predicted.map((plans) => plans[passes - 1]!),
      ...rivals(passes).map(([, plan]) => plan),
    ]);
}

/**
 * Returns the plans that move one full pass by one or two steps, or two neighbours, or all
 * later ones, by one step.
 */
function movesOf(plan: Plan, steps: number): Plan[] {
  const moved = (by: number, isMoved: (i: number) => boolean) =>
    plan.map((step, i) => i > 0 && isMoved(i) ? step + by : step);
  const moves = [...plan.keys()].slice(1).flatMap((i) =>
    [-1, 1].flatMap((by) => [
      moved(by, (j) => j === i),
      moved(2 * by, (j) => j === i),
      moved(by, (j) => j === i || j === i + 1),
      moved(by, (j) => j >= i),
    ])
  );
  return distinct(
    moves.filter((moved) =>
      moved.every((step, i) => step < steps && (i === 0 ? step === 0 : step > moved[i - 1]!))
    ),
  );
}

interface Neighbours {
  cost: PlanCosts;
  steps: number;
}

function withOneMore(plan: Plan, { cost, steps }: Neighbours): Plan[] {
  const free = Array.from({ length: steps }, (_, step) => step).filter((step) => !plan.includes(step));
  return cheapest(free.map((step) => [...plan, step].sort((a, b) => a - b)), cost);
}

function withOneLess(plan: Plan, { cost }: Neighbours): Plan[] {
  return cheapest(plan.slice(1).map((dropped) => plan.filter((step) => step !== dropped)), cost);
}

function cheapest(plans: readonly Plan[], cost: PlanCosts): Plan[] {
  const priced = plans.map((plan) => ({ plan, cost: cost.of(plan) })).sort((a, b) => a.cost - b.cost);
  return priced.slice(0, NEIGHBOURS).map(({ plan }) => plan);
}

/** Returns a plan with one pass more, in the middle of its longest gap. */
function filled(plan: Plan, steps: number): Plan {
  return planOfPasses({ [steps]: { [plan.length]: { fullSteps: plan, psnr: 0 } } }, plan.length + 1, {
    steps,
  });
}

function distinct(plans: readonly Plan[]): Plan[] {
  return [...new Map(plans.map((plan) => [plan.join(), plan])).values()];
}
