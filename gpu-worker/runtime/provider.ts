// The supported execution providers, which are also the places where a tensor's bytes can be.

/** ONNX Runtime's execution provider, which computes the graphs. */
export type ProviderName = "cpu" | "cuda" | "webgpu";

/** The place of a tensor's bytes: main memory, or the memory of the provider of that name. */
export type Location = ProviderName;
