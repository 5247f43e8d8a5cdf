// The flags --device, --dtype and --weights, shared by several commands.
import { UsageError } from "../../protocol/process/usage_error.ts";
import { WEIGHT_CHOICES } from "../checkpoint/held_weights.ts";
import type { DeviceOptions } from "../model/describe_model.ts";

export const DEVICES = ["cpu", "cuda", "webgpu"] as const;
export const DTYPES = ["float32", "float16", "bfloat16"] as const;

/** Line of a command's help. */
export const WEIGHTS_HELP = `\
  --weights W              auto | as-stored | int8 | int4: how linear layers hold their weights
                           (auto: int8 if they would take three quarters of the memory, or if a GGUF file
                           needs it)`;

/**
 * Reads --device, --dtype and --weights.
 * @throws {UsageError} naming the flag, the choices and the value.
 */
export function readDevice(
  flags: { device: string | undefined; dtype: string | undefined; weights?: string | undefined },
): DeviceOptions {
  return {
    provider: oneOf("device", flags.device, DEVICES) ?? "cpu",
    dtype: oneOf("dtype", flags.dtype, DTYPES),
    weights: oneOf("weights", flags.weights, WEIGHT_CHOICES),
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
