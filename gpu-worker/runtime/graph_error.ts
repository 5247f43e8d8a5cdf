// Adds the graph's name to ONNX Runtime's errors.
import { OrtError } from "./ort_error.ts";

/** Returns the error with the graph's name in front of ONNX Runtime's message. */
export function graphError(error: unknown, verb: "load" | "run", graph: string): unknown {
  if (!(error instanceof OrtError)) return error;
  return new OrtError(`Cannot ${verb} '${graph}': ${error.message}`, {
    code: error.code,
    graph,
    cause: error,
  });
}
