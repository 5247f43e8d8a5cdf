// The denoise loop: walks a plan, with full passes and forecasts on a Denoiser and a Solver that moves the latents.
// All state of a run lives in one call, so an aborted run leaves nothing behind.

import { assertNumber } from "./_assert_number.ts";
import type { Denoiser, ForecastCall, FullCall, FullResult, PlannedForecasts } from "./denoiser.ts";
import type { ErrorWindow } from "./error_window.ts";
import { type ForecastMove, planForecastMoves } from "./forecast_moves.ts";
import type { Forecaster } from "./forecaster.ts";
import type { Solver } from "./solver.ts";
import { countHistorySlots, type StepKind } from "./step_plan.ts";

/** A run. */
export interface DenoiseOptions {
  /** From `planSteps`; opens with a full pass. Under `errorWindow` only its length counts. */
  plan: readonly StepKind[];
  /** Where the run itself decides which steps are full: a new one for each run. Full passes then always measure their errors. */
  errorWindow?: ErrorWindow;
  /**
   * Features that the denoiser keeps. Under `errorWindow` the oldest make room for new ones.
   * @default countHistorySlots(plan)
   */
  historySlots?: number;
  /** From `createForecaster`, for as many steps as the plan has. */
  forecaster: Forecaster;
  /** Made for as many steps as the plan has; reset before the first. */
  solver: Solver;
  /** Initial latents, left as they are. */
  latents: Float32Array;
  /**
   * Most forecasts in one call of the denoiser, which may split it further to save memory.
   * @default 64
   */
  maxForecastBatch?: number;
  /**
   * Whether full passes measure how far a forecast of them would have been off. Costs one pass over the history each.
   * @default true
   */
  measureForecastError?: boolean;
  /** Ends the run before the next pass or step, and is handed to the denoiser to end it within one. */
  signal?: AbortSignal;
  /** Called after each step and awaited. What it throws ends the run. */
  onStep?: (event: StepEvent) => void | Promise<void>;
  /**
   * Whether the event of forecast step `index` carries latents. Where it need not, forecasts in a row are taken as one weighted
   * sum of their outputs if the solver permits (`Solver.outputFactor`): the same latents but for rounding.
   * @default at every step
   */
  latentsAt?: (index: number) => boolean;
  /**
   * Clock in milliseconds.
   * @default performance.now
   */
  now?: () => number;
}

/** A step that has been taken. Its latents are views into the run, valid until `onStep` settles. */
export interface StepEvent {
  /** 0-based. */
  index: number;
  /** Length of the run. */
  steps: number;
  /** Whether the whole network ran. */
  kind: StepKind;
  /** The solver's timestep that the step began at. */
  timestep: number;
  /** The solver's sigma that the step began at. */
  sigma: number;
  /** Time since the run began. */
  elapsedMs: number;
  /** Relative error that a forecast of this full pass would have had. */
  forecastError?: number;
  /** Latents after the step. @throws {RangeError} At forecasts that `latentsAt` leaves out. */
  readonly latents: Float32Array;
  /**
   * Estimate of the final latents from this step, for previews: a new array.
   * @throws {RangeError} At forecasts that `latentsAt` leaves out.
   */
  predictOriginal(): Float32Array;
}

/** A finished run. */
export interface DenoiseResult {
  /** Final latents, owned by the caller. */
  latents: Float32Array<ArrayBuffer>;
  /** What was done at each step. */
  plan: StepKind[];
  /** Indices of the full passes. */
  fullSteps: number[];
  /** Measured errors, one for each full pass with a complete history before it. */
  forecastErrors: ForecastError[];
  /** Time that the run took, `onStep` included. */
  elapsedMs: number;
}

/** The relative error that a forecast would have had at a full pass. */
export interface ForecastError {
  /** Index of the full pass. */
  step: number;
  /** ||forecast - feature|| / ||feature||. */
  error: number;
}

/**
 * Runs the plan.
 *
 * A forecast output does not depend on the latents. So all steps between two full passes are asked of the denoiser at
 * once, up to `maxForecastBatch`, and the solver then takes them one by one, or several at once (`latentsAt`).
 *
 * @throws {RangeError} If the plan opens with a forecast or its length is not the solver's, or the denoiser returns outputs
 * of another number or length.
 * @throws The signal's reason, once it is aborted.
 */
export async function denoise(denoiser: Denoiser, options: DenoiseOptions): Promise<DenoiseResult> {
  assertOptions(options);
  const { plan: planned, errorWindow, solver, signal, onStep, now = () => performance.now() } = options;
  const { maxForecastBatch = 64, latentsAt = () => true } = options;
  const start = now();
  const latents = new Float32Array(options.latents);
  const before = onStep && new Float32Array(latents.length);
  const steps = planned.length;
  const plan: StepKind[] = [];
  const fullSteps: number[] = [];
  const forecastErrors: ForecastError[] = [];
  let lastError: number | undefined;

  solver.reset();
  signal?.throwIfAborted();
  const history = new History(options);
  const [first, calls] = await allSettled([runFull(history.pass(0)), planAhead()]);
  await takeFull(0, first);
  for (const call of calls) {
    signal?.throwIfAborted();
    if (call.kind === "full") await takeFull(call.pass.step, await runFull(call.pass));
    else await takeForecasts(call);
  }
  return { latents, plan, fullSteps, forecastErrors, elapsedMs: now() - start };

  /** A fixed plan is known as a whole: what its forecasts take is made while the first pass runs, not between two passes. */
  async function planAhead(): Promise<Iterable<DenoiserCall>> {
    if (errorWindow) return walk();
    const calls = [...walk()];
    await denoiser.prepare?.(calls.filter((call) => call.kind === "forecast"), signal);
    return calls;
  }

  /** What follows the first pass. Under an error window each call depends on the pass before. */
  function* walk(): Generator<DenoiserCall> {
    for (let step = 0; step < steps;) {
      const nextFull = Math.min(steps, errorWindow?.next(step, lastError) ?? nextFullStep(planned, step));
      step++;
      while (step < nextFull) {
        const calls = history.forecastCalls(step, Math.min(nextFull, step + maxForecastBatch));
        const moves = planForecastMoves(calls, { solver, latentsAt });
        const sums = moves.length < calls.length ? moves.map(({ weights }) => weights) : undefined;
        yield { kind: "forecast", calls, moves, ...sums && { sums } };
        step += calls.length;
      }
      if (step < steps) yield { kind: "full", pass: history.pass(step) };
    }
  }

  async function runFull(pass: Pass): Promise<FullResult> {
    const input = solver.scaleModelInput(pass.step, latents);
    return await denoiser.full({ ...pass, latents: input, ...signal && { signal } });
  }

  async function takeFull(step: number, result: FullResult): Promise<void> {
    lastError = result.forecastError;
    fullSteps.push(step);
    if (lastError !== undefined) forecastErrors.push({ step, error: lastError });
    await advance(step, "full", result);
  }

  async function takeForecasts(gap: Gap): Promise<void> {
    let { step } = gap.calls[0]!;
    for (const [i, output] of (await runForecasts(gap)).entries()) {
      const move = gap.moves[i]!;
      if (move.steps === 1) await advance(step++, "forecast", { output });
      else step = await jump(step, move, output);
    }
  }

  async function runForecasts({ calls, moves, sums }: Gap): Promise<Float32Array[]> {
    const outputs = await denoiser.forecast(calls, { ...sums && { sums }, ...signal && { signal } });
    if (outputs.length !== moves.length) {
      throw new RangeError(`Cannot denoise as ${moves.length} forecasts gave ${outputs.length} outputs`);
    }
    return outputs;
  }

  /** Takes several forecasts at once. @returns the step behind them */
  async function jump(step: number, move: ForecastMove, output: Float32Array): Promise<number> {
    signal?.throwIfAborted();
    for (let i = 0; i < latents.length; i++) latents[i]! += output[i]!;
    for (const end = step + move.steps; step < end; step++) {
      plan.push("forecast");
      await report(step);
    }
    return step;
  }

  async function advance(index: number, kind: StepKind, result: FullResult): Promise<void> {
    signal?.throwIfAborted();
    plan.push(kind);
    before?.set(latents);
    solver.step(index, result.output, latents);
    await report(index, result);
  }

  /** @param taken absent where the step was one of several taken at once */
  async function report(index: number, taken?: FullResult): Promise<void> {
    signal?.throwIfAborted();
    if (onStep === undefined || before === undefined) return;
    const forecastError = taken?.forecastError;
    const stateOf = <T>(read: (result: FullResult) => T): T => {
      if (taken !== undefined) return read(taken);
      throw new RangeError(`Cannot tell the latents of step ${index} as 'latentsAt' leaves it out`);
    };
    await onStep({
      index,
      steps,
      kind: plan[index]!,
      timestep: solver.timesteps[index]!,
      sigma: solver.sigmas[index]!,
      elapsedMs: now() - start,
      ...forecastError !== undefined && { forecastError },
      get latents() {
        return stateOf(() => latents);
      },
      predictOriginal: () => stateOf(({ output }) => solver.predictOriginal(index, output, before)),
    });
  }
}

/** A full pass, before its latents are known. */
type Pass = Omit<FullCall, "latents" | "signal">;

/** Forecasts between the same two full passes, and how the solver takes them. */
interface Gap extends PlannedForecasts {
  moves: readonly ForecastMove[];
}

type DenoiserCall = { kind: "full"; pass: Pass } | { kind: "forecast" } & Gap;

/** As Promise.all(), but nothing is under way any more when it rejects: the caller frees what both use. */
async function allSettled<A, B>(promises: [Promise<A>, Promise<B>]): Promise<[A, B]> {
  await Promise.allSettled(promises);
  return await Promise.all(promises);
}

function nextFullStep(plan: readonly StepKind[], step: number): number {
  const next = plan.indexOf("full", step + 1);
  return next === -1 ? plan.length : next;
}

/** The book of which full pass is in which slot: they fill in ascending order, then the oldest is overwritten. */
class History {
  readonly #options: DenoiseOptions;
  readonly #slots: number;
  /** Indices of the steps whose features are kept, ascending, of which the first is in slot #first. */
  readonly #anchors: number[] = [];
  #first = 0;
  #fullPasses = 0;

  constructor(options: DenoiseOptions) {
    this.#options = options;
    this.#slots = options.historySlots ?? countHistorySlots(options.plan);
  }

  pass(step: number): Pass {
    const { errorWindow, measureForecastError = true } = this.#options;
    // Past the last forecast of a plan features are no longer stored; an error over an incomplete history would say nothing.
    const stored = errorWindow !== undefined || this.#fullPasses < this.#slots;
    const complete = errorWindow !== undefined || this.#anchors.length === this.#fullPasses;
    const filled = this.#anchors.length;
    if (stored && filled === this.#slots) {
      // The pass writes where the oldest was, maybe before it measures: it may not read there.
      this.#anchors.shift();
      this.#first = (this.#first + 1) % this.#slots;
    }
    const check = (measureForecastError || errorWindow !== undefined) && complete && this.#anchors.length > 0;
    const pass: Pass = {
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

function assertOptions(
  { plan, solver, maxForecastBatch = 1, errorWindow, historySlots }: DenoiseOptions,
): void {
  assertNumber(maxForecastBatch, { action: "denoise", name: "maxForecastBatch", integer: true, min: 1 });
  if (plan.length !== solver.timesteps.length) {
    throw new RangeError(
      `Cannot denoise as the plan has ${plan.length} steps and the solver ${solver.timesteps.length}`,
    );
  }
  // The pass that overwrites the oldest feature still forecasts itself from the others.
  const min = errorWindow === undefined ? 0 : 2;
  assertNumber(historySlots ?? min, { action: "denoise", name: "historySlots", integer: true, min });
  if (errorWindow && historySlots === undefined) {
    throw new RangeError("Cannot denoise as 'errorWindow' takes 'historySlots'");
  }
  if (plan[0] !== "full") throw new RangeError("Cannot denoise as the plan must open with a full pass");
}
