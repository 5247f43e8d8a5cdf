// Adds the graph's name to ONNX Runtime's errors.
import { DeviceLimitError } from "./device_limit_error.ts";
import { DeviceLostError } from "./device_lost_error.ts";
import { OrtError } from "./ort_error.ts";

/**
 * Returns the error with the graph's name in front of ONNX Runtime's message, as a {@link DeviceLostError} or
 * a {@link DeviceLimitError} if the message means that.
 */
export function graphError(error: unknown, verb: "load" | "run", graph: string): unknown {
  if (!(error instanceof OrtError)) return error;
  if (DeviceLostError.isMeantBy(error.message)) {
    return new DeviceLostError(`Cannot ${verb} '${graph}' as the device is lost: ${error.message}`, {
      cause: error,
    });
  }
  const excess = DeviceLimitError.excessIn(error.message);
  if (excess) {
    return new DeviceLimitError(
      `Cannot ${verb} '${graph}': a tensor must fit into one buffer of the adapter, which holds ` +
        `${excess.limit} bytes, but takes ${excess.bytes}. Try a smaller picture, fewer frames, --dtype ` +
        "float16 or --device cpu.",
      { cause: error },
    );
  }
  return new OrtError(`Cannot ${verb} '${graph}': ${error.message}`, {
    code: error.code,
    graph,
    cause: error,
  });
}
