// The choice between as-stored, int8 and int4 that --weights auto makes.
import { type DType, DTYPE_BYTES } from "../runtime/dtype.ts";
import { exactQuantization } from "./blocks/repack_blocks.ts";
import type { HeldWeights } from "./blocks/quantization_of.ts";
import type { WeightEntry, Weights } from "./weights.ts";

/** Values of --weights. */
export const WEIGHT_CHOICES = ["auto", "as-stored", "int8", "int4"] as const;
export type WeightChoice = (typeof WEIGHT_CHOICES)[number];

/** Share of the machine's memory that weights may take before "auto" rounds them. The rest is for the run. */
const LARGEST_SHARE = 0.75;

export interface ResolveWeightsOptions {
  components: readonly { weights: Weights }[];
  /** Compute type. */
  dtype: DType;
  /** Memory of the machine, in bytes; undefined if the weights go elsewhere. */
  memoryBytes: number | undefined;
}

/**
 * Returns `choice`, or for "auto": int8 if the file has blocks that ONNX Runtime lacks, or if the weights
 * would take more than three quarters of the memory; else as-stored.
 */
export function resolveWeights(
  choice: WeightChoice,
  { components, dtype, memoryBytes = Infinity }: ResolveWeightsOptions,
): HeldWeights {
  if (choice !== "auto") return choice;
  const entries = components.flatMap(({ weights }) => [...weights.values()]);
  if (entries.some(({ blocks }) => blocks !== undefined && exactQuantization(blocks) === undefined)) {
    return "int8";
  }
  const bytes = entries.reduce((sum, entry) => sum + bytesOf(entry, dtype), 0);
  return bytes > LARGEST_SHARE * memoryBytes ? "int8" : "as-stored";
}

function bytesOf({ shape, blocks }: WeightEntry, dtype: DType): number {
  const exact = blocks && exactQuantization(blocks);
  const bytes = exact === undefined
    ? DTYPE_BYTES[dtype]
    : exact.bits / 8 + DTYPE_BYTES.float32 / exact.blockSize;
  return shape.reduce((product, n) => product * n, bytes);
}
