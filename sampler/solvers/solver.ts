// What the sampler needs from a solver: the time grid of a run and how a model output moves the latents along it.
// Each solver is one of diffusers' schedulers, made by createSolver() from a scheduler_config.json.

/**
 * One run of one solver. Multistep solvers keep state between steps; make one per run, or `reset()` it.
 *
 * A step is a call of the model, forecast or not, and index `i` of a plan is index `i` of `timesteps`. There may be more of
 * them than were asked for: PNDM calls the model once more.
 *
 * Every update is linear in the latents, the model outputs since the last reset and the noise, with coefficients that the
 * grid alone determines, so that a weighted sum of outputs moves the latents by the weighted sum of their moves. The one
 * exception is DDIM with `clip_sample`, which clamps each predicted original; checkpoints of latents switch it off.
 * Memory: Euler, ancestral Euler, DDIM and FlowMatchEuler have none; PNDM takes in the outputs of three earlier steps,
 * DPM-Solver and UniPC those of up to their order less one, and UniPC the latents one step before.
 */
export interface Solver {
  /** What diffusers' `scheduler.timesteps` holds, [model calls]: float32 values in float64. */
  readonly timesteps: Float64Array;
  /**
   * What diffusers' `scheduler.sigmas` holds, [model calls + 1]: float32 values in float64. DDIM and PNDM have none there;
   * here, the standard deviation of the noise in the latents.
   */
  readonly sigmas: Float64Array;
  /** Factor from standard normal noise to initial latents. */
  readonly initNoiseSigma: number;

  /**
   * Latents of the noise level at which step `index` begins, made of an original in the denoiser's scale and standard normal
   * noise: a new array, where img2img begins.
   *
   * @throws {RangeError} If there is no such step, or the lengths differ.
   */
  addNoise(index: number, original: Float32Array, noise: Float32Array): Float32Array<ArrayBuffer>;

  /** The latents as the network wants them at step `index`: the same array where no scaling is due, else a new one. */
  scaleModelInput(index: number, latents: Float32Array): Float32Array;

  /**
   * Advances `latents` in place from step `index` to the next, given the model output at `index`. Steps are taken in order;
   * the first since the last reset may be any, as in img2img.
   *
   * @throws {RangeError} If there is no such step, or the lengths differ.
   */
  step(index: number, modelOutput: Float32Array, latents: Float32Array): void;

  /**
   * The factor with which step `index` adds its model output to the latents, where that is all it does: then the step keeps no
   * state, reads none and draws no noise, and several such steps may be taken as one weighted sum of their outputs.
   * Undefined for every other step; a solver without such steps may leave it out.
   */
  outputFactor?(index: number): number | undefined;

  /**
   * The final latents as estimated at step `index` from the latents before that step: a new array, for previews.
   * Keeps no state and reads none, so that asking changes nothing.
   *
   * @throws {RangeError} If there is no such step, or the lengths differ.
   */
  predictOriginal(index: number, modelOutput: Float32Array, latents: Float32Array): Float32Array;

  /** Forgets earlier steps. The noise goes on where it was. */
  reset(): void;
}

/** The part of a solver that its config and the number of steps determine. */
export type SolverGrid = Pick<Solver, "timesteps" | "sigmas">;

/** The run that a solver is made for, as diffusers' `set_timesteps` takes it. */
export interface SolverOptions {
  /** Number of steps (`num_inference_steps`), >= 1. */
  steps: number;
  /** Sigmas before shifting, [steps], for pipelines that pass their own. @default as the scheduler spaces them */
  sigmas?: readonly number[];
  /** Number of image tokens, from which FlowMatchEuler's dynamic shifting computes `mu`. */
  imageSeqLen?: number;
  /** Strength of dynamic shifting. @default FlowMatchEuler: calculateShift(imageSeqLen); DPM-Solver: log(flow_shift) */
  mu?: number;
  /**
   * Standard normal values for solvers that add noise at each step: the run's generator after it drew the initial latents,
   * which diffusers passes on as well.
   */
  noise?: (count: number) => Float32Array;
}
