// A compute type that the device has.
import { Runtime } from "../runtime/mod.ts";
import type { DeviceOptions } from "./describe_model.ts";

/**
 * Returns `options` with float32 instead of float16 if the adapter does not compute in float16.
 * Only WebGPU adapters differ in that, so only they are opened.
 * @param warn receives the reason
 * @throws {ProviderUnavailableError} if the device is unavailable.
 */
export async function withSupportedDtype<Options extends DeviceOptions>(
  options: Options,
  warn: (message: string) => void = console.warn,
): Promise<Options> {
  const { provider, dtype } = options;
  if (provider !== "webgpu" || dtype !== "float16") return options;
  using runtime = Runtime.open({ provider });
  if (await runtime.supports(dtype)) return options;
  warn(
    "The WebGPU adapter does not compute in float16 (no shader-f16). The model computes in float32 instead.",
  );
  return { ...options, dtype: "float32" };
}
