// Adds the graph's name to ONNX Runtime's errors.
import { DeviceLostError } from "./device_lost_error.ts";
import { OrtError } from "./ort_error.ts";

/**
 * Returns the error with the graph's name in front of ONNX Runtime's message, as a {@link DeviceLostError} if
 * the message means that.
 */
export function graphError(error: unknown, verb: "load" | "run", graph: string): unknown {
  if (!(error instanceof OrtError)) return error;
  if (DeviceLostError.isMeantBy(error.message)) {
    return new DeviceLostError(`Cannot ${verb} '${graph}' as the device is lost: ${error.message}`, {
      cause: error,
    });
  }
  return new OrtError(`Cannot ${verb} '${graph}': ${error.message}`, {
    code: error.code,
    graph,
    cause: error,
  });
}
