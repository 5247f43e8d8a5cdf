// The execution providers that we support, which are also the places where a tensor's bytes can lie.

/** ONNX Runtime's execution provider, which computes the graphs. */
export type ProviderName = "cpu" | "cuda" | "webgpu";

/** Where the bytes of a tensor lie: in main memory, or in the memory of the provider of that name. */
export type Location = ProviderName;
