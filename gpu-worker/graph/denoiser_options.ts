// What the graphs of a denoiser are built from, in every family.
import type { DType } from "../runtime/dtype.ts";
import type { Weights } from "../checkpoint/weights.ts";

export interface DenoiserOptions {
  /** config.json of the transformer or UNet, parsed. */
  config: unknown;
  weights: Weights;
  /** Compute type, also that of feature and history. What the host fills and reads is float32. */
  dtype: DType;
}
