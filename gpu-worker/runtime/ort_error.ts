// The error that stands for a failed call of ONNX Runtime (an OrtStatus other than null).

/** ONNX Runtime's OrtErrorCode, in its order: the code of the C API is the index. */
export const ORT_ERROR_CODES = [
  "ok",
  "fail",
  "invalid-argument",
  "no-such-file",
  "no-model",
  "engine-error",
  "runtime-exception",
  "invalid-protobuf",
  "model-loaded",
  "not-implemented",
  "invalid-graph",
  "execution-provider-fail",
  "model-load-canceled",
  "model-requires-compilation",
  "not-found",
] as const;

/** What kind of failure ONNX Runtime reports. */
export type OrtErrorCode = typeof ORT_ERROR_CODES[number];

/** Options of {@linkcode OrtError}. */
export interface OrtErrorOptions extends ErrorOptions {
  /** What ONNX Runtime says it is. */
  code: OrtErrorCode;
  /** Name of the graph that the call was about. */
  graph?: string;
}

/** Thrown when ONNX Runtime refuses a call; the message carries what it says. */
export class OrtError extends Error {
  /** "OrtError" */
  override readonly name = "OrtError";
  /** What ONNX Runtime says it is. */
  readonly code: OrtErrorCode;
  /** Name of the graph that was loaded or run, if it was one. */
  readonly graph: string | undefined;

  /** Makes an error from what ONNX Runtime says. */
  constructor(message: string, { code, graph, ...options }: OrtErrorOptions) {
    super(message, options);
    this.code = code;
    this.graph = graph;
  }
}
