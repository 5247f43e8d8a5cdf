// Reads a small tensor's values on the host.
import { fromBfloat16 } from "../runtime/bfloat16.ts";
import { CheckpointError } from "./checkpoint_error.ts";
import type { WeightEntry } from "./weight_entry.ts";

/** @throws {CheckpointError} if the tensor is not of floating-point numbers, or the file is truncated. */
export function readValues({ path, dtype, offset, byteLength }: WeightEntry): number[] {
  const bytes = new Uint8Array(byteLength);
  using file = Deno.openSync(path);
  file.seekSync(offset, Deno.SeekMode.Start);
  for (let filled = 0; filled < byteLength;) {
    const read = file.readSync(bytes.subarray(filled));
    if (read === null) throw new CheckpointError(`Cannot read ${path} as it ends at byte ${offset + filled}`);
    filled += read;
  }
  switch (dtype) {
    case "float64":
      return [...new Float64Array(bytes.buffer)];
    case "float32":
      return [...new Float32Array(bytes.buffer)];
    case "float16":
      return [...new Float16Array(bytes.buffer)];
    case "bfloat16":
      return [...fromBfloat16([...new Uint16Array(bytes.buffer)])];
    default:
      throw new CheckpointError(`Cannot read numbers from ${path} as their type is ${dtype}`);
  }
}
