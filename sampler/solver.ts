// What the sampler needs from a solver: the time grid of a run and how a model output moves the latents along it.
// Each solver is one of diffusers' schedulers, made by createSolver() from a scheduler_config.json.

/** One run of one solver. Multistep solvers keep state between steps; make one per run, or `reset()` it. */
export interface Solver {
  /** What diffusers' `scheduler.timesteps` holds, [steps]: float32 values in float64. */
  readonly timesteps: Float64Array;
  /** What diffusers' `scheduler.sigmas` holds, [steps + 1]: float32 values in float64. */
  readonly sigmas: Float64Array;
  /** Factor from standard normal noise to initial latents. */
  readonly initNoiseSigma: number;

  /** The latents as the network wants them at step `index`: the same array where no scaling is due, else a new one. */
  scaleModelInput(index: number, latents: Float32Array): Float32Array;

  /**
   * Advances `latents` in place from step `index` to the next, given the model output at `index`.
   *
   * @throws {RangeError} If there is no such step, or the lengths differ.
   */
  step(index: number, modelOutput: Float32Array, latents: Float32Array): void;

  /**
   * The final latents as estimated at step `index` from the latents before that step: a new array, for previews.
   * Keeps no state and reads none, so that asking changes nothing.
   *
   * @throws {RangeError} If there is no such step, or the lengths differ.
   */
  predictOriginal(index: number, modelOutput: Float32Array, latents: Float32Array): Float32Array;

  /** Forgets earlier steps. */
  reset(): void;
}

/** The run that a solver is made for, as diffusers' `set_timesteps` takes it. */
export interface SolverOptions {
  /** Number of steps (`num_inference_steps`), >= 1. */
  steps: number;
  /** Sigmas before shifting, [steps], for pipelines that pass their own. @default as the scheduler spaces them */
  sigmas?: readonly number[];
  /** Number of image tokens, from which dynamic shifting computes `mu`. */
  imageSeqLen?: number;
  /** Strength of dynamic shifting. @default calculateShift(imageSeqLen) */
  mu?: number;
  /** Standard normal values for solvers that add noise at each step. */
  noise?: (count: number) => Float32Array;
}

/** The parsed scheduler_config.json of a checkpoint. */
export type SchedulerConfig = Readonly<Record<string, unknown>>;
