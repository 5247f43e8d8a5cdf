// What sessions and tensors of one runtime share: the library, its environment and the memory they use.
import type { NativeHandle } from "./native_handle.ts";
import type { OrtApi } from "./ort_api.ts";
import type { Location, ProviderName } from "./provider.ts";

export interface RuntimeContext {
  readonly api: OrtApi;
  readonly env: NativeHandle;
  /** Where graphs compute, and where their outputs are put. */
  readonly provider: ProviderName;
  /** ONNX Runtime's allocator of strings and lists; never released. */
  readonly allocator: bigint;
  readonly memoryInfo: (location: Location) => NativeHandle;
}
