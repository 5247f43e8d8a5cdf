// Errors of ONNX Runtime that say in which graph they occurred.
import { OrtError } from "./ort_error.ts";

/** Puts the name of the graph in front of what ONNX Runtime says. */
export function graphError(error: unknown, verb: "load" | "run", graph: string): unknown {
  if (!(error instanceof OrtError)) return error;
  return new OrtError(`Cannot ${verb} '${graph}': ${error.message}`, {
    code: error.code,
    graph,
    cause: error,
  });
}
