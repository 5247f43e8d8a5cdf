// The contract of a solver: the time grid of a run, and how a model output moves the latents along it.
// Each solver is one of diffusers' schedulers, made by createSolver() from a scheduler_config.json.

/**
 * One run of one solver. Multistep solvers keep state between steps; make one per run, or `reset()` it.
 *
 * A step is one call of the model, full pass or forecast. Index `i` of a plan is index `i` of `timesteps`. A
 * solver may take more steps than asked for: PNDM calls the model once more.
 *
 * Every update is linear in the latents, the model outputs since the last reset and the noise. Its
 * coefficients depend on the grid alone. So a weighted sum of outputs moves the latents by the weighted sum
 * of their moves. The one exception is DDIM with `clip_sample`, which clamps each predicted original;
 * checkpoints of latents switch it off.
 *
 * Euler, ancestral Euler, DDIM and FlowMatchEuler keep no state. PNDM keeps the outputs of three
 * earlier steps. DPM-Solver and UniPC keep as many outputs as their order less one, and UniPC also the
 * latents of the step before.
 */
export interface Solver {
  /** diffusers' `scheduler.timesteps`, [model calls]: float32 values in float64. */
  readonly timesteps: Float64Array;
  /**
   * diffusers' `scheduler.sigmas`, [model calls + 1]: float32 values in float64. DDIM and PNDM have none in
   * diffusers; here they are the standard deviations of the noise in the latents.
   */
  readonly sigmas: Float64Array;
  /** Factor from standard normal noise to initial latents. */
  readonly initNoiseSigma: number;
  /** Whether steps add new noise. Earlier features then say little about later ones. @default false */
  readonly addsNoise?: boolean;

  /**
   * Mixes an original in the denoiser's scale with standard normal noise to the latents at the start of step
   * `index`, where image to image begins. Returns a new array.
   *
   * @throws {RangeError} If there is no such step, or the lengths differ.
   */
  addNoise(index: number, original: Float32Array, noise: Float32Array): Float32Array<ArrayBuffer>;

  /**
   * Scales latents to the model input of step `index`. Returns the same array if no scaling
   * is needed, else a new one.
   */
  scaleModelInput(index: number, latents: Float32Array): Float32Array;

  /**
   * Advances `latents` in place from step `index` to the next, given the model output at `index`. Steps come
   * in order. The first step after a reset may have any index, as in image to image.
   *
   * @throws {RangeError} If there is no such step, or the lengths differ.
   */
  step(index: number, modelOutput: Float32Array, latents: Float32Array): void;

  /**
   * Returns the factor with which step `index` adds its model output to the latents, if the step does
   * nothing else. Such a step uses no state and no noise, so several of them may be taken as one
   * weighted sum of their outputs. Returns undefined for every other step. A solver without such steps
   * may leave this method out.
   */
  outputFactor?(index: number): number | undefined;

  /**
   * Changes `latents` in place after several steps were taken as one, as `outputFactor` permits. `index` is
   * the last of these steps.
   * @default the latents stay as they are
   */
  afterMove?(index: number, latents: Float32Array): void;

  /**
   * Estimates the final latents at step `index` from the latents before that step, for previews. Returns a
   * new array. The estimate uses and changes no state.
   *
   * @throws {RangeError} If there is no such step, or the lengths differ.
   */
  predictOriginal(index: number, modelOutput: Float32Array, latents: Float32Array): Float32Array;

  /** Forgets earlier steps. The noise generator continues. */
  reset(): void;
}

/** The part of a solver that follows from its config and the number of steps. */
export type SolverGrid = Pick<Solver, "timesteps" | "sigmas">;

/** The run that a solver is made for, as diffusers' `set_timesteps` takes it. */
export interface SolverOptions {
  /** Number of steps (`num_inference_steps`), >= 1. */
  steps: number;
  /**
   * Sigmas before shifting, [steps], for pipelines that pass their own.
   * @default as the scheduler spaces them
   */
  sigmas?: readonly number[];
  /** Number of image tokens, from which dynamic shifting computes `mu`. */
  imageSeqLen?: number;
  /**
   * Strength of dynamic shifting.
   * @default calculateShift(imageSeqLen); DPM-Solver without `imageSeqLen`: log(flow_shift)
   */
  mu?: number;
  /**
   * Standard normal values for solvers that add noise at each step: the run's generator after it drew the
   * initial latents, which diffusers passes on as well.
   */
  noise?: (count: number) => Float32Array;
}
