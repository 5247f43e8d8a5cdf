// ONNX Runtime's C API through Deno's FFI: sessions, tensors and runs with owned lifetimes. Nothing below it.
//
//   using runtime = Runtime.open({ provider: "cpu" });
//   using session = await runtime.createSession(graph.build());      // or bytes, with { externalDataFolder }
//   using x = runtime.tensor("float32", [1, 4], new Float32Array(4)); // over the array, not copied
//   using history = runtime.allocate("float32", [10, features]);
//   using slot = history.view(2 * features * 4, [features]);         // offset in bytes
//   const { y } = await session.run({ x }, { outputs: { feature: slot }, signal });
//   using result = y!.as("float32");                                 // outputs belong to the caller
//   result.data()                                                     // in place; toArray() copies
//
// A loop prepares its run once: `using step = session.prepare(feeds, { outputs })`, then `await step.run()`.
// Everything is disposable; disposing during a run is safe, the native object goes when the run has ended.
//
// Permissions: --allow-ffi (for all: reading what native pointers point to cannot be limited to a library),
// --allow-read of the project (to find the library in node_modules), --allow-env=SPECTRUM_ORT_LIBRARY.
// ONNX Runtime itself reads weights and writes profiles without asking Deno.
export { assertFinite, NotFiniteError, type ValueSource } from "./assert_finite.ts";
export { fromBfloat16, toBfloat16 } from "./bfloat16.ts";
export { describeDevice, type DeviceDescription, deviceName } from "./describe_device.ts";
export { DeviceLimitError } from "./device_limit_error.ts";
export { DeviceLostError } from "./device_lost_error.ts";
export type { DirectRun } from "./direct_run.ts";
export { type DType, DTYPE_BYTES, ONNX_DATA_TYPE } from "./dtype.ts";
export { type HandleKind, liveHandles } from "./native_handle.ts";
export { ORT_ERROR_CODES, OrtError, type OrtErrorCode, type OrtErrorOptions } from "./ort_error.ts";
export type { Location, ProviderName } from "./provider.ts";
export type { ProviderTraits } from "./provider_traits.ts";
export {
  ProviderUnavailableError,
  type ProviderUnavailableErrorOptions,
} from "./provider_unavailable_error.ts";
export { Runtime, type RuntimeOptions } from "./runtime.ts";
export { type OutputOptions, Session, type SessionModel, type SessionRunOptions } from "./session.ts";
export type { SessionOptions } from "./session_options.ts";
export type { Turns } from "./turns.ts";
export { ortVersion } from "./ort_api.ts";
export { Tensor } from "./tensor.ts";
export type { TypedArray, TypedArrays } from "./typed_array.ts";
export type { DeclaredDim, ValueInfo } from "./value_info.ts";
