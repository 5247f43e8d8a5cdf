// The flags --device and --dtype, shared by several commands.
import { UsageError } from "../../protocol/process/usage_error.ts";
import type { DeviceOptions } from "../model/describe_model.ts";

const DEVICES = ["cpu", "cuda", "webgpu"] as const;
const DTYPES = ["float32", "float16", "bfloat16"] as const;

/**
 * Reads --device and --dtype.
 * @throws {UsageError} naming the flag, the choices and the value.
 */
export function readDevice(flags: { device: string | undefined; dtype: string | undefined }): DeviceOptions {
  return {
    provider: oneOf("device", flags.device, DEVICES) ?? "cpu",
    dtype: oneOf("dtype", flags.dtype, DTYPES),
  };
}

function oneOf<const T extends string>(
  flag: string,
  value: string | undefined,
  choices: readonly T[],
): T | undefined {
  if (value === undefined || (choices as readonly string[]).includes(value)) return value as T | undefined;
  throw new UsageError(`--${flag} must be one of ${choices.join(", ")}: current value is '${value}'`);
}
