// Options of a denoiser's graphs in every family.
import type { DType } from "../runtime/dtype.ts";
import type { Weights } from "../checkpoint/weights.ts";

export interface DenoiserOptions {
  /** Parsed config.json of the transformer or UNet. */
  config: unknown;
  weights: Weights;
  /** Component folder, for names and errors. @default "transformer" */
  name?: string;
  /** Type of computation, feature and history. Tensors that the host reads or writes are float32. */
  dtype: DType;
}
