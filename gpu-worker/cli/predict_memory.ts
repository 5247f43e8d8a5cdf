// How much memory a run will hold at its peak, from a checkpoint's headers. The factors are measurements of ONNX
// Runtime 1.30 on the CPU, over FLUX, SD 3 and SDXL configs of 1 to 450 MiB and pictures of 16 to 512 pixels a side.
import type { StepKind } from "../../sampler/mod.ts";
import type { WeightEntry } from "../graph/weights/weights.ts";
import { FORECAST_BYTES } from "../pipelines/onnx_denoiser.ts";
import type { DecodingSize } from "../pipelines/pipeline.ts";
import { DTYPE_BYTES } from "../runtime/dtype.ts";
import type { DType } from "../runtime/mod.ts";

export interface MemoryQuery {
  /** Stored tensors of every component that is loaded. */
  weights: Iterable<WeightEntry>;
  /** Compute type of the denoiser. */
  dtype: DType;
  plan: readonly StepKind[];
  /** Features that a run with that plan keeps. */
  slots: number;
  /** Elements of the last-block feature of one picture, all branches. */
  featureElements: number;
  decoding: DecodingSize;
}

/** All in bytes. */
export interface MemoryPrediction {
  /** As ONNX Runtime holds them. */
  weightBytes: number;
  historyBytes: number;
  /** Intermediate results of the denoiser and the VAE, whose sessions each keep what they once needed. */
  activationBytes: number;
}

/** Intermediate results of a full pass at their peak, in features; transformers and UNets are alike in this. */
const FEATURES_AT_PEAK = 45;
/** Of each forecast in a batch, at the peak of the head's run: features, and latents on their way to the solver. */
const FEATURES_A_FORECAST = 3;
const LATENTS_A_FORECAST = 10;
/** Intermediate results of the decoder at their peak, in its largest activations. */
const DECODER_ACTIVATIONS_AT_PEAK = 4;
/** The allocator grows by doubling, which leaves room where weights are cast instead of mapped. */
const CAST_OVERHEAD = 1.2;

/**
 * Weights that are stored in the compute type are mapped, and once packed for multiplication only the packed copy
 * stays: their size counts once. Those of another type are cast at load, and count in the compute type.
 */
export function predictMemory(query: MemoryQuery): MemoryPrediction {
  const { dtype, plan, slots, featureElements } = query;
  const size = DTYPE_BYTES[dtype];
  let weightBytes = 0;
  for (const { shape, dtype: stored } of query.weights) {
    const bytes = shape.reduce((product, n) => product * n, size);
    weightBytes += stored === dtype ? bytes : bytes * CAST_OVERHEAD;
  }
  const featureBytes = featureElements * size;
  const latentBytes = query.decoding.latents * DTYPE_BYTES.float32;
  const decoderBytes = query.decoding.activation * DTYPE_BYTES.float32;
  return {
    weightBytes: Math.round(weightBytes),
    historyBytes: slots * featureBytes,
    activationBytes: FEATURES_AT_PEAK * featureBytes +
      forecastsAtOnce(plan, featureBytes) *
        (FEATURES_A_FORECAST * featureBytes + LATENTS_A_FORECAST * latentBytes) +
      DECODER_ACTIVATIONS_AT_PEAK * decoderBytes,
  };
}

/** Forecasts between two full passes run as one batch, as far as the denoiser lets them. */
function forecastsAtOnce(plan: readonly StepKind[], featureBytes: number): number {
  let longest = 0;
  let length = 0;
  for (const kind of plan) {
    length = kind === "forecast" ? length + 1 : 0;
    longest = Math.max(longest, length);
  }
  return Math.min(longest, Math.max(1, Math.floor(FORECAST_BYTES / featureBytes)));
}
