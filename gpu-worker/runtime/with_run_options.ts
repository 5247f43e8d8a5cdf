// Connects an abort signal to ONNX Runtime's run options, which can end a run between two nodes.
import { NativeHandle } from "./native_handle.ts";
import { type OrtApi, out } from "./ort_api.ts";

/** Logs only fatal errors. Other errors, and cancellation, are returned as a status. */
const LOG_FATAL = 4;

/** Calls `run` with OrtRunOptions that `signal` terminates, or with null without a signal. */
export async function withRunOptions(
  api: OrtApi,
  signal: AbortSignal | undefined,
  run: (options: bigint) => Promise<void>,
): Promise<void> {
  if (signal === undefined) return await run(0n);
  const pointer = out((cell) => api.CreateRunOptions(cell));
  using options = new NativeHandle("RunOptions", pointer, { release: api.ReleaseRunOptions });
  api.RunOptionsSetRunLogSeverityLevel(options.pointer, LOG_FATAL);
  const terminate = () => api.RunOptionsSetTerminate(options.pointer);
  signal.addEventListener("abort", terminate);
  try {
    await run(options.pointer);
  } finally {
    signal.removeEventListener("abort", terminate);
  }
}
