// The denoise loop: walks a plan, with full passes and forecasts on a Denoiser and a Solver that moves the latents.
// All state of a run lives in one call, so an aborted run leaves nothing behind.

import { assertNumber } from "./numerics/assert_number.ts";
import type { Denoiser, FullResult } from "./denoiser.ts";
import type { ErrorWindow } from "./plans/error_window.ts";
import type { ForecastMove } from "./forecast_moves.ts";
import type { Solver } from "./solvers/solver.ts";
import type { StepKind } from "./plans/step_plan.ts";
import {
  type DenoiserCall,
  type PlannedGap,
  type PlannedPass,
  planWalk,
  type Walk,
  walk,
  type WalkOptions,
} from "./walk.ts";

/** A run. */
export interface DenoiseOptions extends WalkOptions {
  /** Made for as many steps as the plan has; reset before the first. */
  solver: Solver;
  /** Where the run itself decides which steps are full: a new one for each run. Full passes then always measure their errors. */
  errorWindow?: ErrorWindow;
  /**
   * From an earlier run with the same options, as far as they decide it. Without effect under `errorWindow`.
   * @default planWalk(options)
   */
  walk?: Walk;
  /** Initial latents, left as they are. */
  latents: Float32Array;
  /** Ends the run before the next pass or step, and is handed to the denoiser to end it within one. */
  signal?: AbortSignal;
  /** Called after each step and awaited. What it throws ends the run. */
  onStep?: (event: StepEvent) => void | Promise<void>;
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
  const fixed = errorWindow ? undefined : options.walk ?? planWalk(options);
  const calls = fixed?.values() ?? walk(options, { window: errorWindow!, lastError: () => lastError });
  const { pass: opening } = calls.next().value as DenoiserCall & { kind: "full" };
  // What the forecasts take is made while the first pass runs, not between two passes.
  const [first] = await allSettled([
    runFull(opening),
    fixed && denoiser.prepare(fixed.filter((call) => call.kind === "forecast"), signal),
  ]);
  await takeFull(0, first);
  for (const call of calls) {
    signal?.throwIfAborted();
    if (call.kind === "full") await takeFull(call.pass.step, await runFull(call.pass));
    else await takeForecasts(call);
  }
  return { latents, plan, fullSteps, forecastErrors, elapsedMs: now() - start };

  async function runFull(pass: PlannedPass): Promise<FullResult> {
    const input = solver.scaleModelInput(pass.step, latents);
    return await denoiser.full({ ...pass, latents: input, ...signal && { signal } });
  }

  async function takeFull(step: number, result: FullResult): Promise<void> {
    lastError = result.forecastError;
    fullSteps.push(step);
    if (lastError !== undefined) forecastErrors.push({ step, error: lastError });
    await advance(step, "full", result);
  }

  async function takeForecasts(gap: PlannedGap): Promise<void> {
    let { step } = gap.calls[0]!;
    for (const [i, output] of (await runForecasts(gap)).entries()) {
      const move = gap.moves[i]!;
      if (move.steps === 1) await advance(step++, "forecast", { output });
      else step = await jump(step, move, output);
    }
  }

  async function runForecasts({ calls, moves, sums }: PlannedGap): Promise<Float32Array[]> {
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
      const told = report(step);
      // Steps of a gap follow each other within microseconds: a turn of the event loop only where somebody asks for it.
      if (told) await told;
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
  function report(index: number, taken?: FullResult): void | Promise<void> {
    signal?.throwIfAborted();
    if (onStep === undefined || before === undefined) return;
    const forecastError = taken?.forecastError;
    const stateOf = <T>(read: (result: FullResult) => T): T => {
      if (taken !== undefined) return read(taken);
      throw new RangeError(`Cannot tell the latents of step ${index} as 'latentsAt' leaves it out`);
    };
    return onStep({
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

/** As Promise.all(), but nothing is under way any more when it rejects: the caller frees what both use. */
async function allSettled<A, B>(promises: [Promise<A>, Promise<B> | undefined]): Promise<[A, B | undefined]> {
  await Promise.allSettled(promises);
  return await Promise.all(promises);
}

function assertOptions(
  { plan, solver, maxForecastBatch, errorWindow, historySlots, walk }: DenoiseOptions,
): void {
  if (maxForecastBatch !== undefined) {
    assertNumber(maxForecastBatch, { action: "denoise", name: "maxForecastBatch", integer: true, min: 1 });
  }
  if (plan.length !== solver.timesteps.length) {
    throw new RangeError(
      `Cannot denoise as the plan has ${plan.length} steps and the solver ${solver.timesteps.length}`,
    );
  }
  const walked = walk?.reduce((steps, call) => steps + (call.kind === "full" ? 1 : call.calls.length), 0);
  if (walked !== undefined && walked !== plan.length) {
    throw new RangeError(`Cannot denoise as the plan has ${plan.length} steps and 'walk' ${walked}`);
  }
  // The pass that overwrites the oldest feature still forecasts itself from the others.
  const min = errorWindow === undefined ? 0 : 2;
  assertNumber(historySlots ?? min, { action: "denoise", name: "historySlots", integer: true, min });
  if (errorWindow && historySlots === undefined) {
    throw new RangeError("Cannot denoise as 'errorWindow' takes 'historySlots'");
  }
  if (plan[0] !== "full") throw new RangeError("Cannot denoise as the plan must open with a full pass");
}
