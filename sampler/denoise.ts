// The denoise loop: it walks a step plan, calls a Denoiser for full passes and forecasts, and lets a Solver
// move the latents. All state of a run lives in one call, so an aborted run leaves nothing behind.

import { assertNumber } from "./numerics/assert_number.ts";
import { allSettled } from "./all_settled.ts";
import type { Denoiser, FullResult } from "./denoiser.ts";
import type { PassWindow } from "./plans/phases.ts";
import { LatentSteps, type StepEvent } from "./latent_steps.ts";
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
  const { errorWindow, solver, signal, now = () => performance.now() } = options;
  const start = now();
  const elapsedMs = () => now() - start;
  const steps = new LatentSteps({ ...options, elapsedMs });
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
  return { latents: steps.latents, plan: steps.plan, fullSteps, forecastErrors, elapsedMs: elapsedMs() };

  async function runFull(pass: PlannedPass): Promise<FullResult> {
    const input = solver.scaleModelInput(pass.step, steps.latents);
    return await denoiser.full({ ...pass, latents: input, ...signal && { signal } });
  }

  async function takeFull(step: number, result: FullResult): Promise<void> {
    lastError = result.forecastError;
    fullSteps.push(step);
    if (lastError !== undefined) forecastErrors.push({ step, error: lastError });
    await steps.take("full", result);
  }

  async function takeForecasts({ calls, moves, sums }: PlannedGap): Promise<void> {
    const outputs = await denoiser.forecast(calls, { ...sums && { sums }, ...signal && { signal } });
    if (outputs.length !== moves.length) {
      throw new RangeError(`Cannot denoise as ${moves.length} forecasts gave ${outputs.length} outputs`);
    }
    for (const [i, move] of moves.entries()) {
      const output = outputs[i]!;
      if (move.steps === 1) await steps.take("forecast", { output });
      else await steps.takeTogether(move, output);
    }
  }
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
