// The features of full passes, on the device. No provider copies a feature to the host.
import type { DType } from "../runtime/dtype.ts";
import type { Tensor } from "../runtime/mod.ts";
import type { Feeds } from "./denoiser_shape.ts";

export interface FeatureHistoryOptions {
  /** Number of features to keep; 0 keeps none. */
  slots: number;
  /** Shape of one slot: branches, then the feature's dimensions. */
  dims: readonly number[];
  dtype: DType;
}

/** The history's inputs of a trunk or head that forecasts: forecast_weights and history. */
export interface ForecastFeeds {
  /** The inputs. They are valid for any number of calls if `compute` is not set. */
  feeds: Feeds;
  /** Returns the inputs for one call, from the features that are kept now. `owned` owns new tensors. */
  compute?: (options: { owned: DisposableStack; signal: AbortSignal | undefined }) => Promise<Feeds>;
}

/** Owns all tensors that it returns, except where it says otherwise. */
export interface FeatureHistory extends Disposable {
  /** Number of features that it can keep. */
  readonly slots: number;
  /** Bytes of one slot. */
  readonly slotBytes: number;
  /**
   * Returns the tensor [...dims] that a full pass must write into.
   * @returns undefined if the pass allocates it
   */
  slot(index: number): Tensor | undefined;
  /** Takes over the tensor that a full pass allocated for slot `index`. */
  store(index: number, feature: Tensor): void;
  /**
   * Returns the inputs for forecasts from the first n slots.
   * @param weights [steps, n] in main memory, which must outlive the inputs; its values are read at each call
   */
  forecasts(weights: Tensor<"float32">): ForecastFeeds;
  /**
   * Fills all slots with rows of the history `from`, which has as many slots. For pictures that leave a
   * batch: the rows cross the host.
   * @param rows indices in `from`
   */
  copyRows(from: FeatureHistory, rows: readonly number[]): Promise<void>;
  /** Copies all slots to the host as float32. For recording features; sampling never needs it. */
  toArray(): Promise<Float32Array>;
}
