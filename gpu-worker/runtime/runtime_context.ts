// The objects that sessions and tensors of one runtime share: library, environment, memory.
import type { NativeHandle } from "./native_handle.ts";
import type { OrtApi } from "./ort_api.ts";
import type { Location, ProviderName } from "./provider.ts";
import type { Turns } from "./turns.ts";

export interface RuntimeContext {
  readonly api: OrtApi;
  readonly env: NativeHandle;
  /** The provider that computes the graphs and holds their outputs. */
  readonly provider: ProviderName;
  /** The order of calls that use the provider's device. */
  readonly turns: Turns;
  /** ONNX Runtime's allocator of strings and lists; never released. */
  readonly allocator: bigint;
  readonly memoryInfo: (location: Location) => NativeHandle;
}
