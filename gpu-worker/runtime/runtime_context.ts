// What sessions and tensors of one runtime share: the library, its environment and the memory they use.
import type { DType } from "./dtype.ts";
import type { NativeHandle } from "./native_handle.ts";
import type { OrtApi } from "./ort_api.ts";
import type { ProviderName } from "./provider_unavailable_error.ts";
import type { Tensor } from "./tensor.ts";

/** Where the bytes of a tensor lie: in main memory, or in the memory of the provider of that name. */
export type Location = ProviderName;

export interface RuntimeContext {
  readonly api: OrtApi;
  readonly env: NativeHandle;
  /** Where graphs compute, and where their outputs are put. */
  readonly provider: ProviderName;
  /** ONNX Runtime's allocator of strings and lists; never released. */
  readonly allocator: bigint;
  readonly memoryInfo: (location: Location) => NativeHandle;
  /** Copies between locations; both tensors have the same dtype and dims. */
  readonly copy: <D extends DType>(source: Tensor<D>, target: Tensor<D>) => Promise<void>;
}
