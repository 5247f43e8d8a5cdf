// Options of a session and their native form.
import { appendExecutionProvider, type ExecutionProviderOptions } from "./execution_provider.ts";
import { NativeHandle } from "./native_handle.ts";
import { cPath, cString } from "./c_string.ts";
import { type OrtApi, out } from "./ort_api.ts";
import type { Tensor } from "./tensor.ts";

/** Options of `Runtime.createSession`. */
export interface SessionOptions {
  /** Name of the graph in errors and logs. @default the model's name, or "graph" */
  name?: string;
  /**
   * Folder that external data locations are relative to. The files must be below it after symlinks are
   * followed: a Hugging Face cache snapshot needs the folder above snapshots/ and blobs/.
   * @default the model's
   */
  externalDataFolder?: string;
  /** How much ONNX Runtime rewrites the graph. @default "all" */
  graphOptimization?: "disabled" | "basic" | "extended" | "all";
  /** Writes the optimized graph to this path. */
  optimizedModelPath?: string;
  /** Records every node's time; `endProfiling()` writes PREFIX_DATE.json. */
  profilePrefix?: string;
  /** Whether one block is planned for all intermediate results of a shape. @default true */
  memPattern?: boolean;
  /**
   * Values of weights that the model declares as external data, in main memory. The session uses them where
   * they lie, so it packs no weights, and keeps them until it is disposed of.
   */
  initializers?: Readonly<Record<string, Tensor>>;
  /** Threads of this session. @default the runtime's, else the pool that all sessions share */
  intraOpThreads?: number;
}

const OPTIMIZATION_LEVELS = { disabled: 0, basic: 1, extended: 2, all: 99 };

/**
 * Creates the native options.
 * @throws {RangeError} for a thread count below 1, which ONNX Runtime would replace by its default.
 * @throws {ProviderUnavailableError} if the provider is unavailable.
 */
export function createSessionOptions(
  api: OrtApi,
  options: SessionOptions,
  provider: ExecutionProviderOptions,
): NativeHandle {
  const native = out((cell) => api.CreateSessionOptions(cell));
  const handle = new NativeHandle("SessionOptions", native, { release: api.ReleaseSessionOptions });
  try {
    const { graphOptimization, optimizedModelPath, profilePrefix, intraOpThreads } = options;
    if (options.name !== undefined) api.SetSessionLogId(native, cString(options.name));
    if (graphOptimization !== undefined) {
      api.SetSessionGraphOptimizationLevel(native, OPTIMIZATION_LEVELS[graphOptimization]);
    }
    if (optimizedModelPath !== undefined) api.SetOptimizedModelFilePath(native, cPath(optimizedModelPath));
    if (profilePrefix !== undefined) api.EnableProfiling(native, cPath(profilePrefix));
    if (options.memPattern === false) api.DisableMemPattern(native);
    if (intraOpThreads === undefined) api.DisablePerSessionThreads(native);
    else api.SetIntraOpNumThreads(native, threadCount(intraOpThreads));
    for (const [key, value] of Object.entries(configEntries(options))) {
      api.AddSessionConfigEntry(native, cString(key), cString(value));
    }
    for (const [name, { handle }] of Object.entries(options.initializers ?? {})) {
      api.AddInitializer(native, cString(name), handle.pointer);
    }
    appendExecutionProvider(api, native, provider);
    return handle;
  } catch (error) {
    handle.release();
    throw error;
  }
}

/**
 * Threads spin during a run, for speed between nodes, but not after it: they
 * would take a core from other work.
 */
const SPINNING = { "session.force_spinning_stop": "1" };

function configEntries({ externalDataFolder, initializers }: SessionOptions): Record<string, string> {
  return {
    ...SPINNING,
    ...(initializers && { "session.disable_prepacking": "1" }),
    ...(externalDataFolder && { "session.model_external_initializers_file_folder_path": externalDataFolder }),
  };
}

function threadCount(intraOpThreads: number): number {
  if (Number.isSafeInteger(intraOpThreads) && intraOpThreads >= 1) return intraOpThreads;
  throw new RangeError(
    `Cannot load a graph as 'intraOpThreads' must be a whole number >= 1: current value is ${intraOpThreads}`,
  );
}
