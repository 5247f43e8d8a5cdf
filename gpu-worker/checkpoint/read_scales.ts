// Reads the scales of a tensor: one number, or one for each of its rows.
import { showValue } from "../../sampler/mod.ts";
import { CheckpointError } from "./checkpoint_error.ts";
import { readValues } from "./read_values.ts";
import type { WeightEntry } from "./weight_entry.ts";

/** One scale, or those of the rows. */
export type TensorScales = Pick<WeightEntry, "scale" | "scales">;

/**
 * Returns the scales in the tensor `name` of `weight`. Rows are the only dimension that programs scale so:
 * torchao, llm-compressor and ComfyUI write [rows, 1] or [rows].
 * @throws {CheckpointError} if they have another shape, or are not finite.
 */
export function readScales(
  name: string,
  { tensor, weight }: { tensor: WeightEntry; weight: WeightEntry },
): TensorScales {
  const { path, shape, dtype } = tensor;
  const refuse = (reason: string) =>
    new CheckpointError(`Cannot use ${path} as the scale '${showValue(name)}' must ${reason}`);
  const count = shape.reduce((product, n) => product * n, 1);
  const [rows = 1] = weight.shape;
  const isOne = count === 1;
  const isRows = shape[0] === rows && count === rows && weight.shape.length > 1;
  if (!isOne && !isRows) {
    throw refuse(`be one number, or one for each of ${rows} rows, but its shape is [${shape}]`);
  }
  if (!FLOATS.includes(dtype)) throw refuse(`be floats, but is ${dtype}`);
  const values = readValues(tensor);
  const wrong = values.find((value) => !Number.isFinite(value));
  if (wrong !== undefined) throw refuse(`be finite, but is ${wrong}`);
  return isOne ? { scale: values[0]! } : { scales: { tensor, firstRow: 0 } };
}

const FLOATS: readonly string[] = ["float32", "float16", "bfloat16", "float64"];
