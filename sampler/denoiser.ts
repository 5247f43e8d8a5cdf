// The contract between the sampler and a network. Features stay on the network's device; the
// sampler names them by slot.

/**
 * One network for one run.
 *
 * Its history has a slot for each full pass that a forecast follows (`countHistorySlots` of the
 * plan). Slots fill in ascending order. Under classifier-free guidance the network keeps a history
 * per branch and combines the branches' outputs itself. It forecasts all branches with the same weights,
 * which depend on step indices alone.
 */
export interface Denoiser {
  /**
   * Announces all forecasts of a run whose plan is fixed, while its first pass runs: `forecast` then gets
   * these very arrays, and so may another run that shares the walk. What they take besides features can be
   * made before it is needed.
   */
  prepare(forecasts: readonly PlannedForecasts[], signal?: AbortSignal): Promise<void>;

  /** Runs the whole network and stores its last-block feature in `call.slot`. */
  full(call: FullCall): Promise<FullResult>;

  /**
   * Forecasts the feature of each step and runs the head on it: one model output per call, in their order, or
   * the sums of them that `options.sums` asks for.
   * All calls lie between the same two full passes, so their weights have the same length.
   */
  forecast(calls: readonly ForecastCall[], options?: ForecastOptions): Promise<Float32Array[]>;

  /**
   * Copies the whole history to the host, slot after slot, so that plans can be found from it. Optional.
   */
  features?(): Promise<Float32Array>;
}

/** A full pass. */
export interface FullCall {
  /** Index of the step. */
  step: number;
  /** The step's entry of the solver's `timesteps`. */
  timestep: number;
  /** The step's entry of the solver's `sigmas`. */
  sigma: number;
  /** Model input, scaled by the solver. Read-only, and valid until the returned promise settles. */
  latents: Float32Array;
  /** Slot that stores the feature. Undefined if no later step needs the feature. */
  slot: number | undefined;
  /** Weights over slots 0..check.length - 1 that forecast this step. They ask for `forecastError`. */
  check?: Float64Array;
  /** Stops within the pass. The promise then rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** Result of a full pass. */
export interface FullResult {
  /** Model output after guidance, of the length of the latents. */
  output: Float32Array;
  /** ||forecast - feature|| / ||feature|| over the whole feature. Present if `check` was given. */
  forecastError?: number;
}

/** A forecast step. */
export interface ForecastCall {
  /** Index of the step. */
  step: number;
  /** The step's entry of the solver's `timesteps`. */
  timestep: number;
  /** The step's entry of the solver's `sigmas`. */
  sigma: number;
  /** Weights over slots 0..weights.length - 1. */
  weights: Float64Array;
}

/** Forecasts of one gap, and the sums that are wanted of them. */
export interface PlannedForecasts {
  /** Argument of `forecast`. */
  calls: readonly ForecastCall[];
  /** Option of `forecast`. */
  sums?: readonly Float64Array[];
}

/** Options of `Denoiser.forecast`. */
export interface ForecastOptions {
  /**
   * Weights over the calls, [calls], one array per wanted sum of the calls' outputs. A network that ends in
   * linear layers runs these layers once per sum instead of once per step.
   * @default one output per call
   */
  sums?: readonly Float64Array[] | undefined;
  /** Stops within the run of the head. The promise then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}
