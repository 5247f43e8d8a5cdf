// Features on the host, for recording them, and for pictures that leave a batch.
import { fromBfloat16 } from "../runtime/bfloat16.ts";
import type { DType, Tensor, TypedArray } from "../runtime/mod.ts";

/** Copies a tensor of features to the host as float32. */
export async function hostFeature(feature: Tensor): Promise<Float32Array> {
  const values = await feature.toArray();
  return feature.dtype === "bfloat16"
    ? fromBfloat16(values as Uint16Array)
    : Float32Array.from(values as Float32Array);
}

/**
 * Returns some rows of each slot, in their own memory.
 * @param options.from the number of rows of a slot
 * @param options.rows the indices of the wanted rows
 */
export function pickRows<T extends TypedArray<DType>>(
  all: T,
  { slots, from, rows }: { slots: number; from: number; rows: readonly number[] },
): T {
  const length = all.length / (slots * from);
  const picked = all.slice(0, slots * rows.length * length) as T;
  for (let slot = 0; slot < slots; slot++) {
    for (const [row, index] of rows.entries()) {
      const start = (slot * from + index) * length;
      picked.set(all.subarray(start, start + length) as never, (slot * rows.length + row) * length);
    }
  }
  return picked;
}
