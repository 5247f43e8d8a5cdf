// Adds the chosen execution provider to a session's options, or reports what this machine lacks for it.
import { CStrings } from "./c_strings.ts";
import { cString } from "./c_string.ts";
import { type OrtApi, out } from "./ort_api.ts";
import { ORT_LIBRARY_VARIABLE } from "./ort_library.ts";
import type { ProviderName } from "./provider.ts";
import { ProviderUnavailableError } from "./provider_unavailable_error.ts";

export interface ExecutionProviderOptions {
  provider: ProviderName;
  /** Index of the device. */
  deviceId: number;
}

/**
 * Buffers have the same sizes at every step, so the arena need not grow ahead. cuDNN's exhaustive search
 * would take minutes at the first step.
 */
const CUDA_OPTIONS = { arena_extend_strategy: "kSameAsRequested", cudnn_conv_algo_search: "HEURISTIC" };

const NO_STRINGS = new BigUint64Array(1);

/**
 * Appends the provider to the OrtSessionOptions at `options`.
 * @throws {ProviderUnavailableError} naming the remedy.
 */
export function appendExecutionProvider(
  api: OrtApi,
  options: bigint,
  { provider, deviceId }: ExecutionProviderOptions,
): void {
  try {
    switch (provider) {
      case "cpu":
        return;
      case "cuda":
        return appendCuda(api, options, { ...CUDA_OPTIONS, device_id: String(deviceId) });
      case "webgpu":
        return api.SessionOptionsAppendExecutionProvider(
          options,
          cString("WebGPU"),
          NO_STRINGS,
          NO_STRINGS,
          0,
        );
      default:
        provider satisfies never;
    }
  } catch (cause) {
    throw providerUnavailable(provider, cause);
  }
}

/** Creates the error for a provider that does not start. Its message says what to do. */
export function providerUnavailable(provider: ProviderName, cause: unknown): ProviderUnavailableError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const remedy = provider === "cuda" ? cudaRemedy(reason) : webgpuRemedy();
  return new ProviderUnavailableError(reason, { provider, remedy, cause });
}

function appendCuda(api: OrtApi, options: bigint, settings: Record<string, string>): void {
  const cuda = out((cell) => api.CreateCUDAProviderOptions(cell));
  try {
    const keys = new CStrings(Object.keys(settings));
    const values = new CStrings(Object.values(settings));
    const count = keys.texts.length;
    CStrings.hold(
      [keys, values],
      () => api.UpdateCUDAProviderOptions(cuda, keys.pointers, values.pointers, count),
    );
    api.SessionOptionsAppendExecutionProvider_CUDA_V2(options, cuda);
  } finally {
    api.ReleaseCUDAProviderOptions(cuda);
  }
}

function cudaRemedy(reason: string): string {
  if (Deno.build.os !== "linux" && Deno.build.os !== "windows") {
    return "CUDA needs Linux or Windows: use --device cpu";
  }
  if (/lib(cudnn|cublas|cudart|cufft|curand|nvrtc|cuda)\w*\.so[^:]*: cannot open/.test(reason)) {
    return "Install CUDA 13 and cuDNN 9 where the loader finds them (LD_LIBRARY_PATH)";
  }
  if (/CUDA failure|CUDA error|no CUDA-capable|driver/i.test(reason)) {
    return "Check that nvidia-smi lists the device and that its driver supports CUDA 13";
  }
  return "The CUDA provider library must lie beside libonnxruntime: " +
    "take libonnxruntime and its providers' libraries from " +
    `PyPI's onnxruntime-gpu of the same version and name the first with ${ORT_LIBRARY_VARIABLE}; ` +
    "it needs CUDA 13 and cuDNN 9";
}

function webgpuRemedy(): string {
  return "WebGPU needs a graphics adapter with a Vulkan, Metal or Direct3D 12 driver: install one, " +
    "or use --device cpu";
}
