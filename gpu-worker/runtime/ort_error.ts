// The error for a failed call of ONNX Runtime (an OrtStatus other than null).

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

/** The kind of failure that ONNX Runtime reports. */
export type OrtErrorCode = typeof ORT_ERROR_CODES[number];

/** Options of {@linkcode OrtError}. */
export interface OrtErrorOptions extends ErrorOptions {
  /** The error code that ONNX Runtime reports. */
  code: OrtErrorCode;
  /** Name of the graph that was loaded or run. */
  graph?: string;
}

/** Thrown when ONNX Runtime rejects a call. The message contains ONNX Runtime's own message. */
export class OrtError extends Error {
  /** "OrtError" */
  override readonly name = "OrtError";
  /** The error code that ONNX Runtime reports. */
  readonly code: OrtErrorCode;
  /** Name of the graph that was loaded or run, if it was one. */
  readonly graph: string | undefined;

  /** Creates an error from ONNX Runtime's message. */
  constructor(message: string, { code, graph, ...options }: OrtErrorOptions) {
    super(message, options);
    this.code = code;
    this.graph = graph;
  }
}
