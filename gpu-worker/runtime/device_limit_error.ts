// The error for a tensor that is larger than the device's buffers.

/**
 * Thrown when a graph is loaded or run. Its message says what is too large, and what may help.
 * The device stays usable.
 */
export class DeviceLimitError extends Error {
  /** "DeviceLimitError" */
  override readonly name = "DeviceLimitError";

  /** Returns both sizes in ONNX Runtime's message about a buffer, or undefined if it means something else. */
  static excessIn(message: string): { bytes: number; limit: number } | undefined {
    const match = /Buffer size \((\d+)\) exceeds the max buffer size limit \((\d+)\)/.exec(message);
    return match ? { bytes: Number(match[1]), limit: Number(match[2]) } : undefined;
  }
}
