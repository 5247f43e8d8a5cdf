// What a signal is to ONNX Runtime: options of a run that can end it between two nodes.
import { NativeHandle } from "./native_handle.ts";
import { type OrtApi, out } from "./ort_api.ts";

/** Fatal errors only: what goes wrong, cancelling included, comes back as a status. */
const LOG_FATAL = 4;

/** Calls `run` with the OrtRunOptions that `signal` terminates, or with null where there is none. */
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
