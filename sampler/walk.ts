// What a run asks of its denoiser, in order: full passes, and between them the forecasts with their weights and moves.
import type { ForecastCall, FullCall, PlannedForecasts } from "./denoiser.ts";
import type { ErrorWindow } from "./plans/error_window.ts";
import { type ForecastMove, planForecastMoves } from "./forecast_moves.ts";
import type { Forecaster } from "./forecasters/forecaster.ts";
import type { Solver } from "./solvers/solver.ts";
import { countHistorySlots, type StepKind } from "./plans/step_plan.ts";

/** A full pass, before its latents are known. */
export type PlannedPass = Omit<FullCall, "latents" | "signal">;

/** Forecasts between the same two full passes, and how the solver takes them. */
export interface PlannedGap extends PlannedForecasts {
  /** One for each output, in order; together they are the calls. */
  moves: readonly ForecastMove[];
}

/** What the denoiser is called for. */
export type DenoiserCall = { kind: "full"; pass: PlannedPass } | { kind: "forecast" } & PlannedGap;

/** All of a run with a fixed plan. It depends on no latents: runs with the same options may share it. */
export type Walk = readonly DenoiserCall[];

/** What decides a walk. */
export interface WalkOptions {
  /** From `planSteps`; opens with a full pass. Under an error window only its length counts. */
  plan: readonly StepKind[];
  /**
   * Features that the denoiser keeps. Under an error window the oldest make room for new ones.
   * @default countHistorySlots(plan)
   */
  historySlots?: number;
  /** From `createForecaster`, for as many steps as the plan has. */
  forecaster: Forecaster;
  /** Made for as many steps as the plan has. */
  solver: Pick<Solver, "timesteps" | "sigmas" | "outputFactor">;
  /**
   * Most forecasts in one call of the denoiser, which may split it further to save memory.
   * @default the whole gap
   */
  maxForecastBatch?: number;
  /**
   * Whether full passes measure how far a forecast of them would have been off. Costs one pass over the history each.
   * @default true
   */
  measureForecastError?: boolean;
  /**
   * Whether the event of forecast step `index` carries latents. Where it need not, forecasts in a row are taken as one weighted
   * sum of their outputs if the solver permits (`Solver.outputFactor`): the same latents but for rounding.
   * @default at every step
   */
  latentsAt?: (index: number) => boolean;
}

/** The walk of a fixed plan, to be handed to `denoise`. */
export function planWalk(options: WalkOptions): Walk {
  return [...walk(options)];
}

/** Where each call depends on the error of the pass before. */
export interface AdaptiveWalk {
  window: ErrorWindow;
  /** Relative error of the last full pass. */
  lastError: () => number | undefined;
}

/** Yields call after call. @param adaptive where the run itself decides which steps are full */
export function* walk(options: WalkOptions, adaptive?: AdaptiveWalk): Generator<DenoiserCall> {
  const { plan, solver, maxForecastBatch = Infinity, latentsAt = () => true } = options;
  const steps = plan.length;
  const history = new History(options, adaptive !== undefined);
  for (let step = 0; step < steps;) {
    yield { kind: "full", pass: history.pass(step) };
    const next = adaptive ? adaptive.window.next(step, adaptive.lastError()) : nextFullStep(plan, step);
    const nextFull = Math.min(steps, next);
    step++;
    while (step < nextFull) {
      const calls = history.forecastCalls(step, Math.min(nextFull, step + maxForecastBatch));
      const moves = planForecastMoves(calls, { solver, latentsAt });
      const sums = moves.length < calls.length ? moves.map(({ weights }) => weights) : undefined;
      yield { kind: "forecast", calls, moves, ...sums && { sums } };
      step += calls.length;
    }
  }
}

function nextFullStep(plan: readonly StepKind[], step: number): number {
  const next = plan.indexOf("full", step + 1);
  return next === -1 ? plan.length : next;
}

/** The book of which full pass is in which slot: they fill in ascending order, then the oldest is overwritten. */
class History {
  readonly #options: WalkOptions;
  readonly #adaptive: boolean;
  readonly #slots: number;
  /** Indices of the steps whose features are kept, ascending, of which the first is in slot #first. */
  readonly #anchors: number[] = [];
  #first = 0;
  #fullPasses = 0;

  constructor(options: WalkOptions, adaptive: boolean) {
    this.#options = options;
    this.#adaptive = adaptive;
    this.#slots = options.historySlots ?? countHistorySlots(options.plan);
  }

  pass(step: number): PlannedPass {
    const { measureForecastError = true } = this.#options;
    const adaptive = this.#adaptive;
    // Past the last forecast of a plan features are no longer stored; an error over an incomplete history would say nothing.
    const stored = adaptive || this.#fullPasses < this.#slots;
    const complete = adaptive || this.#anchors.length === this.#fullPasses;
    const filled = this.#anchors.length;
    if (stored && filled === this.#slots) {
      // The pass writes where the oldest was, maybe before it measures: it may not read there.
      this.#anchors.shift();
      this.#first = (this.#first + 1) % this.#slots;
    }
    const check = (measureForecastError || adaptive) && complete && this.#anchors.length > 0;
    const pass: PlannedPass = {
      ...this.#stepOnGrid(step),
      slot: stored ? (this.#first + this.#anchors.length) % this.#slots : undefined,
      ...check && { check: this.#weights(step, filled) },
    };
    if (stored) this.#anchors.push(step);
    this.#fullPasses++;
    return pass;
  }

  /** The forecasts from `step` to before `end`. */
  forecastCalls(step: number, end: number): ForecastCall[] {
    const calls: ForecastCall[] = [];
    for (; step < end; step++) {
      calls.push({ ...this.#stepOnGrid(step), weights: this.#weights(step, this.#anchors.length) });
    }
    return calls;
  }

  /** The forecaster's weights in the order of slots, zero for one of the `filled` that no anchor has. */
  #weights(step: number, filled: number): Float64Array {
    const weights = this.#options.forecaster.weights(step, this.#anchors);
    if (this.#first === 0 && filled === weights.length) return weights;
    const bySlot = new Float64Array(filled);
    for (const [i, weight] of weights.entries()) bySlot[(this.#first + i) % this.#slots] = weight;
    return bySlot;
  }

  #stepOnGrid(step: number): { step: number; timestep: number; sigma: number } {
    const { timesteps, sigmas } = this.#options.solver;
    return { step, timestep: timesteps[step]!, sigma: sigmas[step]! };
  }
}
