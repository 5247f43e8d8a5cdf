// The denoise loop: it walks a step plan, calls a Denoiser for full passes and forecasts, and lets a Solver
// move the latents. All state of a run lives in one call, so an aborted run leaves nothing behind.

import { assertNumber } from "./numerics/assert_number.ts";
import type { Denoiser, FullResult } from "./denoiser.ts";
import type { PassWindow } from "./plans/phases.ts";
import type { ForecastMove } from "./forecast_moves.ts";
import type { Solver } from "./solvers/solver.ts";
import type { StepKind } from "./plans/step_plan.ts";
import { type DenoiserCall, type PlannedGap, type PlannedPass, walk, type WalkOptions } from "./walk.ts";

/** Options of {@linkcode denoise}. */
export interface DenoiseOptions extends WalkOptions {
  /** Solver for as many steps as the plan has. The run resets it first. */
  solver: Solver;
  /**
   * Lets the run itself decide which steps are full passes, from the errors that they measure. One per run.
   */
  errorWindow?: PassWindow;
  /** Initial latents. The run copies them. */
  latents: Float32Array;
  /** Ends the run before its next pass or step. The denoiser gets it too and can stop within a pass. */
  signal?: AbortSignal;
  /** Called and awaited after each step. An error that it throws ends the run. */
  onStep?: (event: StepEvent) => void | Promise<void>;
  /**
   * Clock in milliseconds.
   * @default performance.now
   */
  now?: () => number;
}

/** A finished step. Its latents are views into the run, valid until `onStep` settles. */
export interface StepEvent {
  /** 0-based. */
  index: number;
  /** Number of steps of the run. */
  steps: number;
  /** Full pass or forecast. */
  kind: StepKind;
  /** The solver's timestep at the start of the step. */
  timestep: number;
  /** The solver's sigma at the start of the step. */
  sigma: number;
  /** Milliseconds since the run began. */
  elapsedMs: number;
  /** Relative error that a forecast of this full pass would have had. */
  forecastError?: number;
  /** Latents after the step. @throws {RangeError} At forecasts that `latentsAt` leaves out. */
  readonly latents: Float32Array;
  /**
   * Estimates the final latents from this step, for previews. Returns a new array.
   * @throws {RangeError} At forecasts that `latentsAt` leaves out.
   */
  predictOriginal(): Float32Array;
}

/** A finished run. */
export interface DenoiseResult {
  /** Final latents, owned by the caller. */
  latents: Float32Array<ArrayBuffer>;
  /** The step plan as it was run. */
  plan: StepKind[];
  /** Indices of the full passes. */
  fullSteps: number[];
  /** Measured errors, one for each full pass with a complete history before it. */
  forecastErrors: ForecastError[];
  /** Milliseconds of the run, `onStep` included. */
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
 * Runs the step plan from the initial latents to the final ones.
 *
 * A forecast's output does not depend on the latents. So the denoiser gets all forecasts of a gap in one
 * call. The solver then takes them one by one, or several at once (`latentsAt`).
 *
 * @throws {RangeError} If the plan opens with a forecast or its length is not the solver's, or the denoiser
 * returns outputs of another number or length.
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
  const fixed = errorWindow ? undefined : [...walk(options)];
  const calls = fixed?.values() ?? walk(options, { window: errorWindow!, lastError: () => lastError });
  const { pass: opening } = calls.next().value as DenoiserCall & { kind: "full" };
  // The denoiser prepares the forecasts while the first pass runs, not between two passes.
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

  /** Takes several forecasts at once. Returns the index of the step after them. */
  async function jump(step: number, move: ForecastMove, output: Float32Array): Promise<number> {
    signal?.throwIfAborted();
    for (let i = 0; i < latents.length; i++) latents[i]! += output[i]!;
    solver.afterMove?.(step + move.steps - 1, latents);
    for (const end = step + move.steps; step < end; step++) {
      plan.push("forecast");
      const told = report(step);
      // The steps of a gap follow within microseconds, so the loop yields only if a caller waits for a step.
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

  /** @param taken absent for a step that was taken together with others */
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

/**
 * Like Promise.all(), but rejects only after both have settled, so that the caller can free what both use.
 */
async function allSettled<A, B>(promises: [Promise<A>, Promise<B> | undefined]): Promise<[A, B | undefined]> {
  await Promise.allSettled(promises);
  return await Promise.all(promises);
}

function assertOptions(
  { plan, solver, errorWindow, historySlots }: DenoiseOptions,
): void {
  if (plan.length !== solver.timesteps.length) {
    throw new RangeError(
      `Cannot denoise as the plan has ${plan.length} steps and the solver ${solver.timesteps.length}`,
    );
  }
  // A pass that overwrites the oldest feature still needs one other to forecast itself.
  const min = errorWindow === undefined ? 0 : 2;
  assertNumber(historySlots ?? min, { action: "denoise", name: "historySlots", integer: true, min });
  if (errorWindow && historySlots === undefined) {
    throw new RangeError("Cannot denoise as 'errorWindow' takes 'historySlots'");
  }
  if (plan[0] !== "full") throw new RangeError("Cannot denoise as the plan must open with a full pass");
}
