// What the sampler needs from a network. Pipelines implement it; the features never leave the network's device, the
// sampler speaks of them by slot.

/**
 * One network for one run. Its history is a row of slots, one for each full pass that a forecast follows
 * (`countHistorySlots` of the plan), filled in ascending order.
 *
 * A network under classifier-free guidance keeps a history for each branch, combines their outputs itself, and forecasts
 * all branches with the same weights, as these depend on step indices alone.
 */
export interface Denoiser {
  /**
   * Announces all forecasts of a run whose plan is fixed, while its first pass runs: `forecast` then gets these very arrays, and
   * so may another run that shares the walk. What they take besides features can be made before it is needed.
   */
  prepare(forecasts: readonly PlannedForecasts[], signal?: AbortSignal): Promise<void>;

  /** Runs the whole network and stores its last-block feature in `call.slot`. */
  full(call: FullCall): Promise<FullResult>;

  /**
   * Forecasts the feature of each step and runs the head on it: one model output per call, in their order, or the sums of
   * them that `options.sums` asks for.
   * All calls lie between the same two full passes, so their weights have the same length.
   */
  forecast(calls: readonly ForecastCall[], options?: ForecastOptions): Promise<Float32Array[]>;

  /**
   * Copies the whole history to the host, slot after slot, to make plans from it. A network that has no such way leaves
   * it out.
   */
  features?(): Promise<Float32Array>;
}

/** A full pass. */
export interface FullCall {
  /** Index of the step. */
  step: number;
  /** As in the solver's `timesteps`. */
  timestep: number;
  /** As in the solver's `sigmas`. */
  sigma: number;
  /** Model input, scaled by the solver. Valid until the returned promise settles; not to be written. */
  latents: Float32Array;
  /** Where to store the feature; undefined where no later step needs it, and throughout a run without forecasts. */
  slot: number | undefined;
  /** Weights over slots 0..check.length - 1 that forecast this very step; asks for `forecastError`. */
  check?: Float64Array;
  /** Ends the pass within: the promise then rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** What a full pass gives. */
export interface FullResult {
  /** Model output with guidance already combined, as long as the latents. */
  output: Float32Array;
  /** ||forecast - feature|| / ||feature|| over all of the feature, where `check` was given. */
  forecastError?: number;
}

/** A forecast step. */
export interface ForecastCall {
  /** Index of the step. */
  step: number;
  /** As in the solver's `timesteps`. */
  timestep: number;
  /** As in the solver's `sigmas`. */
  sigma: number;
  /** Weights over slots 0..weights.length - 1. */
  weights: Float64Array;
}

/** Forecasts between the same two full passes, and what is wanted of them. */
export interface PlannedForecasts {
  /** As `forecast` takes them. */
  calls: readonly ForecastCall[];
  /** As in {@linkcode ForecastOptions}. */
  sums?: readonly Float64Array[];
}

/** What is wanted of several forecasts. */
export interface ForecastOptions {
  /**
   * Weights over the calls, [calls], one array for each wanted output: the weighted sum of the calls' outputs. A network that
   * ends in linear layers runs them on sums instead of on each step.
   * @default one output per call
   */
  sums?: readonly Float64Array[] | undefined;
  /** Ends the run within: the promise then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}
