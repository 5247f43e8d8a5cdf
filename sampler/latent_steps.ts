// Moves a run's latents from step to step, and tells the caller of each step.
import type { FullResult } from "./denoiser.ts";
import type { ForecastMove } from "./forecast_moves.ts";
import type { StepKind } from "./plans/step_plan.ts";
import type { Solver } from "./solvers/solver.ts";

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

/** Options of `LatentSteps`. */
export interface LatentStepsOptions {
  solver: Solver;
  /** Initial latents. They are copied. */
  latents: Float32Array;
  signal?: AbortSignal;
  onStep?: (event: StepEvent) => void | Promise<void>;
  /** Milliseconds since the run began. */
  elapsedMs: () => number;
}

/** The latents of one run. */
export class LatentSteps {
  /** Latents after the last step. */
  readonly latents: Float32Array<ArrayBuffer>;
  /** The kinds of the steps so far. */
  readonly plan: StepKind[] = [];
  readonly #options: LatentStepsOptions;
  /** Latents before the last step, for previews. */
  readonly #before: Float32Array | undefined;

  /** Copies the initial latents. */
  constructor(options: LatentStepsOptions) {
    this.#options = options;
    this.latents = new Float32Array(options.latents);
    this.#before = options.onStep && new Float32Array(this.latents.length);
  }

  /** Lets the solver take the next step. @throws the signal's reason, once it is aborted. */
  async take(kind: StepKind, result: FullResult): Promise<void> {
    const { solver, signal } = this.#options;
    signal?.throwIfAborted();
    const index = this.plan.push(kind) - 1;
    this.#before?.set(this.latents);
    solver.step(index, result.output, this.latents);
    await this.#report(index, result);
  }

  /** Takes several forecasts at once. @throws the signal's reason, once it is aborted. */
  async takeTogether({ steps }: ForecastMove, output: Float32Array): Promise<void> {
    const { solver, signal } = this.#options;
    const { latents, plan } = this;
    signal?.throwIfAborted();
    const end = plan.length + steps;
    for (let i = 0; i < latents.length; i++) latents[i]! += output[i]!;
    solver.afterMove?.(end - 1, latents);
    while (plan.length < end) {
      const told = this.#report(plan.push("forecast") - 1);
      // The steps of a gap follow within microseconds, so the loop yields only if a caller waits for a step.
      if (told) await told;
    }
  }

  /** @param taken absent for a step that was taken together with others */
  #report(index: number, taken?: FullResult): void | Promise<void> {
    const { solver, signal, onStep, elapsedMs } = this.#options;
    const { latents } = this;
    const before = this.#before;
    signal?.throwIfAborted();
    if (onStep === undefined || before === undefined) return;
    const forecastError = taken?.forecastError;
    const stateOf = <T>(read: (result: FullResult) => T): T => {
      if (taken !== undefined) return read(taken);
      throw new RangeError(`Cannot tell the latents of step ${index} as 'latentsAt' leaves it out`);
    };
    return onStep({
      index,
      steps: solver.timesteps.length,
      kind: this.plan[index]!,
      timestep: solver.timesteps[index]!,
      sigma: solver.sigmas[index]!,
      elapsedMs: elapsedMs(),
      ...forecastError !== undefined && { forecastError },
      get latents() {
        return stateOf(() => latents);
      },
      predictOriginal: () => stateOf(({ output }) => solver.predictOriginal(index, output, before)),
    });
  }
}
