// A walk is a step plan turned into the denoiser's calls, in order: full passes, and gaps with
// their weights and moves.
import type { ForecastCall, FullCall, PlannedForecasts } from "./denoiser.ts";
import { type ForecastMove, planForecastMoves } from "./forecast_moves.ts";
import type { Forecaster } from "./forecasters/forecaster.ts";
import type { Solver } from "./solvers/solver.ts";
import { listPhases, ONE_PHASE, type PassWindow, type Phases } from "./plans/phases.ts";
import { countHistorySlots, type StepKind } from "./plans/step_plan.ts";

/** A full pass whose latents are not known yet. */
export type PlannedPass = Omit<FullCall, "latents" | "signal">;

/** The forecasts of a gap, and how the solver takes them. */
export interface PlannedGap extends PlannedForecasts {
  /** One move per output, in order. Together they cover the calls. */
  moves: readonly ForecastMove[];
}

/** One call of the denoiser. */
export type DenoiserCall = { kind: "full"; pass: PlannedPass } | { kind: "forecast" } & PlannedGap;

/** Options that decide a walk. */
export interface WalkOptions {
  /** Step plan from `planSteps`. It begins with a full pass. Under an error window only its length counts. */
  plan: readonly StepKind[];
  /**
   * First steps of the run's phases, each a full pass in the plan. No forecast reads
   * features of another phase.
   * @default one phase
   */
  phases?: Phases;
  /**
   * Number of features that the denoiser keeps. Under an error window new features replace the oldest.
   * @default countHistorySlots(plan)
   */
  historySlots?: number;
  /** Forecaster from `createForecaster`, for as many steps as the plan has. */
  forecaster: Forecaster;
  /** Solver for as many steps as the plan has. */
  solver: Pick<Solver, "timesteps" | "sigmas" | "outputFactor">;
  /**
   * Whether each full pass measures the error of its own forecast. This costs one pass over the history.
   * @default true
   */
  measureForecastError?: boolean;
  /**
   * Whether the event of forecast step `index` carries latents. Forecasts in a row that carry none are taken
   * as one weighted sum of their outputs if the solver permits it (`Solver.outputFactor`). The latents stay
   * the same up to rounding.
   * @default at every step
   */
  latentsAt?: (index: number) => boolean;
}

/** State of a walk in which each call depends on the error of the pass before. */
export interface AdaptiveWalk {
  window: PassWindow;
  /** Relative error of the last full pass. */
  lastError: () => number | undefined;
}

/** Yields call after call. @param adaptive given if the run itself decides which steps are full passes */
export function* walk(options: WalkOptions, adaptive?: AdaptiveWalk): Generator<DenoiserCall> {
  const { plan, solver, phases = ONE_PHASE, latentsAt = () => true } = options;
  for (const { start, end } of listPhases(plan.length, phases)) {
    const history = new History(options, { phase: plan.slice(start, end), adaptive: adaptive !== undefined });
    for (let step = start; step < end;) {
      yield { kind: "full", pass: history.pass(step) };
      const next = adaptive ? adaptive.window.next(step, adaptive.lastError()) : nextFullStep(plan, step);
      const nextFull = Math.min(end, next);
      step++;
      while (step < nextFull) {
        const calls = history.forecastCalls(step, nextFull);
        const moves = planForecastMoves(calls, { solver, latentsAt });
        const sums = moves.length < calls.length ? moves.map(({ weights }) => weights) : undefined;
        yield { kind: "forecast", calls, moves, ...sums && { sums } };
        step += calls.length;
      }
    }
  }
}

function nextFullStep(plan: readonly StepKind[], step: number): number {
  const next = plan.indexOf("full", step + 1);
  return next === -1 ? plan.length : next;
}

/**
 * Tracks, in one phase, which full pass is in which slot. Slots fill in ascending order; then
 * the oldest is overwritten.
 */
class History {
  readonly #options: WalkOptions;
  readonly #adaptive: boolean;
  readonly #slots: number;
  /** Indices of the steps whose features are kept, ascending. The first one is in slot #first. */
  readonly #anchors: number[] = [];
  #first = 0;
  #fullPasses = 0;

  constructor(
    options: WalkOptions,
    { phase, adaptive }: { phase: readonly StepKind[]; adaptive: boolean },
  ) {
    this.#options = options;
    this.#adaptive = adaptive;
    this.#slots = options.historySlots ?? countHistorySlots(phase);
  }

  pass(step: number): PlannedPass {
    const { measureForecastError = true } = this.#options;
    const adaptive = this.#adaptive;
    // After the last forecast no feature is stored, so an error would be measured over an incomplete history.
    const stored = adaptive || this.#fullPasses < this.#slots;
    const complete = adaptive || this.#anchors.length === this.#fullPasses;
    const filled = this.#anchors.length;
    if (stored && filled === this.#slots) {
      // The pass may overwrite the oldest feature before it measures, so it must not read that slot.
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

  /** Returns the forecasts from `step` to `end`, exclusive. */
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
