// Reads one number of a safetensors file: a LoRA's alpha, which the host needs.
import { CheckpointError } from "../checkpoint_error.ts";
import type { SafetensorsEntry } from "../safetensors.ts";
import { fromBfloat16 } from "../../runtime/bfloat16.ts";

/**
 * Reads the tensor `key`, which must hold a single finite number.
 * @throws {CheckpointError} if it does not.
 */
export function readScalar(path: string, { key, entry }: { key: string; entry: SafetensorsEntry }): number {
  const { dtype, shape, offset, byteLength } = entry;
  if (shape.some((n) => n !== 1)) {
    throw new CheckpointError(
      `Cannot use LoRA ${path} as '${key}' must be one number: its shape is [${shape}]`,
    );
  }
  const bytes = new DataView(new ArrayBuffer(byteLength));
  using file = Deno.openSync(path);
  file.seekSync(offset, Deno.SeekMode.Start);
  file.readSync(new Uint8Array(bytes.buffer));
  const value = decode(bytes, dtype);
  if (value !== undefined && Number.isFinite(value)) return value;
  throw new CheckpointError(
    `Cannot use LoRA ${path} as '${key}' must be a finite number: it is ${value ?? dtype}`,
  );
}

function decode(bytes: DataView, dtype: SafetensorsEntry["dtype"]): number | undefined {
  switch (dtype) {
    case "float64":
      return bytes.getFloat64(0, true);
    case "float32":
      return bytes.getFloat32(0, true);
    case "float16":
      return bytes.getFloat16(0, true);
    case "bfloat16":
      return fromBfloat16([bytes.getUint16(0, true)])[0];
    case "int64":
      return Number(bytes.getBigInt64(0, true));
    case "int32":
      return bytes.getInt32(0, true);
    default:
      return undefined;
  }
}
