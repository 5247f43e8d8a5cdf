// Binds the functions of ONNX Runtime's C API that we call. Indices and signatures are from struct OrtApi in
// onnxruntime_c_api.h 1.30. That struct only grows at its end, so they are valid for later versions.
import { ORT_ERROR_CODES, OrtError } from "./ort_error.ts";
import { ORT_LIBRARY_VARIABLE, ortLibraryPath } from "./ort_library.ts";

/** The API version whose documented behaviour we rely on. An older library returns null from GetApi. */
const API_VERSION = 30;

/**
 * Parameters: "u64" is a native object or address (0n is null), "usize" and "i32" are numbers, "buffer" is
 * JavaScript memory that the call reads or fills. The result is a status unless `result` is given.
 */
interface Signature {
  readonly index: number;
  readonly parameters: readonly ("u64" | "usize" | "i32" | "buffer" | "pointer")[];
  readonly result?: "void" | "i32" | "pointer";
  readonly nonblocking?: true;
}

const SIGNATURES = {
  GetErrorCode: { index: 1, parameters: ["pointer"], result: "i32" },
  GetErrorMessage: { index: 2, parameters: ["pointer"], result: "pointer" },
  ReleaseStatus: { index: 93, parameters: ["pointer"], result: "void" },

  CreateEnvWithGlobalThreadPools: { index: 119, parameters: ["i32", "buffer", "u64", "buffer"] },
  CreateThreadingOptions: { index: 121, parameters: ["buffer"] },
  ReleaseThreadingOptions: { index: 122, parameters: ["u64"], result: "void" },
  ReleaseEnv: { index: 92, parameters: ["u64"], result: "void" },

  CreateSessionOptions: { index: 10, parameters: ["buffer"] },
  SetOptimizedModelFilePath: { index: 11, parameters: ["u64", "buffer"] },
  EnableProfiling: { index: 14, parameters: ["u64", "buffer"] },
  DisableMemPattern: { index: 17, parameters: ["u64"] },
  SetSessionLogId: { index: 20, parameters: ["u64", "buffer"] },
  DisablePerSessionThreads: { index: 120, parameters: ["u64"] },
  SetSessionGraphOptimizationLevel: { index: 23, parameters: ["u64", "i32"] },
  SetIntraOpNumThreads: { index: 24, parameters: ["u64", "i32"] },
  AddInitializer: { index: 150, parameters: ["u64", "buffer", "u64"] },
  AddSessionConfigEntry: { index: 130, parameters: ["u64", "buffer", "buffer"] },
  SessionOptionsAppendExecutionProvider: {
    index: 216,
    parameters: ["u64", "buffer", "buffer", "buffer", "usize"],
  },
  SessionOptionsAppendExecutionProvider_CUDA_V2: { index: 204, parameters: ["u64", "u64"] },
  CreateCUDAProviderOptions: { index: 205, parameters: ["buffer"] },
  UpdateCUDAProviderOptions: { index: 206, parameters: ["u64", "buffer", "buffer", "usize"] },
  ReleaseCUDAProviderOptions: { index: 208, parameters: ["u64"], result: "void" },
  ReleaseSessionOptions: { index: 100, parameters: ["u64"], result: "void" },

  CreateSessionFromArray: {
    index: 8,
    parameters: ["u64", "u64", "usize", "u64", "u64"],
    nonblocking: true,
  },
  // The same function on the calling thread, for models that load at once.
  CreateSessionFromArrayBlocking: { index: 8, parameters: ["u64", "u64", "usize", "u64", "u64"] },
  SessionGetInputCount: { index: 30, parameters: ["u64", "buffer"] },
  SessionGetOutputCount: { index: 31, parameters: ["u64", "buffer"] },
  SessionGetInputTypeInfo: { index: 33, parameters: ["u64", "usize", "buffer"] },
  SessionGetOutputTypeInfo: { index: 34, parameters: ["u64", "usize", "buffer"] },
  SessionGetInputName: { index: 36, parameters: ["u64", "usize", "u64", "buffer"] },
  SessionGetOutputName: { index: 37, parameters: ["u64", "usize", "u64", "buffer"] },
  SessionEndProfiling: { index: 110, parameters: ["u64", "u64", "buffer"] },
  ReleaseSession: { index: 95, parameters: ["u64"], result: "void" },

  CastTypeInfoToTensorInfo: { index: 55, parameters: ["u64", "buffer"] },
  GetTensorTypeAndShape: { index: 65, parameters: ["u64", "buffer"] },
  GetTensorElementType: { index: 60, parameters: ["u64", "buffer"] },
  GetDimensionsCount: { index: 61, parameters: ["u64", "buffer"] },
  GetDimensions: { index: 62, parameters: ["u64", "buffer", "usize"] },
  GetSymbolicDimensions: { index: 63, parameters: ["u64", "buffer", "usize"] },
  ReleaseTypeInfo: { index: 98, parameters: ["u64"], result: "void" },
  ReleaseTensorTypeAndShapeInfo: { index: 99, parameters: ["u64"], result: "void" },

  CreateTensorAsOrtValue: { index: 48, parameters: ["u64", "buffer", "usize", "i32", "buffer"] },
  CreateTensorWithDataAsOrtValue: {
    index: 49,
    parameters: ["u64", "u64", "usize", "buffer", "usize", "i32", "buffer"],
  },
  GetTensorMutableData: { index: 51, parameters: ["u64", "buffer"] },
  ReleaseValue: { index: 96, parameters: ["u64"], result: "void" },

  CreateMemoryInfo: { index: 68, parameters: ["buffer", "i32", "i32", "i32", "buffer"] },
  ReleaseMemoryInfo: { index: 94, parameters: ["u64"], result: "void" },
  CreateAllocator: { index: 131, parameters: ["u64", "u64", "buffer"] },
  GetAllocatorWithDefaultOptions: { index: 78, parameters: ["buffer"] },
  AllocatorFree: { index: 76, parameters: ["u64", "u64"] },
  ReleaseAllocator: { index: 132, parameters: ["u64"], result: "void" },

  CreateRunOptions: { index: 39, parameters: ["buffer"] },
  RunOptionsSetRunLogSeverityLevel: { index: 41, parameters: ["u64", "i32"] },
  RunOptionsSetTerminate: { index: 46, parameters: ["u64"] },
  ReleaseRunOptions: { index: 97, parameters: ["u64"], result: "void" },

  CreateIoBinding: { index: 134, parameters: ["u64", "buffer"] },
  BindInput: { index: 136, parameters: ["u64", "buffer", "u64"] },
  BindOutput: { index: 137, parameters: ["u64", "buffer", "u64"] },
  BindOutputToDevice: { index: 138, parameters: ["u64", "buffer", "u64"] },
  GetBoundOutputValues: { index: 140, parameters: ["u64", "u64", "buffer", "buffer"] },
  Run: {
    index: 9,
    parameters: ["u64", "u64", "u64", "u64", "usize", "u64", "usize", "u64"],
    nonblocking: true,
  },
  // The same function on the calling thread, for runs that are shorter than the hand-over to another thread.
  RunBlocking: { index: 9, parameters: ["u64", "u64", "u64", "u64", "usize", "u64", "usize", "u64"] },
  RunWithBinding: { index: 133, parameters: ["u64", "u64", "u64"], nonblocking: true },
  ReleaseIoBinding: { index: 135, parameters: ["u64"], result: "void" },
} as const satisfies Record<string, Signature>;

type Signatures = typeof SIGNATURES;
type Argument<T> = T extends "u64" ? bigint
  : T extends "usize" | "i32" ? number
  : T extends "buffer" ? ArrayBufferView<ArrayBuffer>
  : Deno.PointerObject;
type Arguments<P> = { -readonly [I in keyof P]: Argument<P[I]> };
type Result<S extends Signature> = S extends { nonblocking: true } ? Promise<void>
  : S extends { result: infer R extends Deno.NativeResultType } ? Deno.FromNativeResultType<R>
  : void;

/**
 * The bound functions, by their names in C. Functions that return a status
 * throw {@linkcode OrtError} instead.
 */
export type OrtApi = {
  readonly [K in keyof Signatures]: (
    ...args: Arguments<Signatures[K]["parameters"]>
  ) => Result<Signatures[K]>;
};

interface OpenLibrary {
  api: OrtApi;
  version: string;
}

const opened = new Map<string, OpenLibrary>();

/**
 * Opens the library once per process, as its threads forbid unloading it.
 * @throws {Error} if it is missing, cannot be loaded or is older than 1.30.
 */
export function openOrtApi(path: string = ortLibraryPath()): OrtApi {
  return openLibrary(path).api;
}

/** Returns the library's version, e.g. "1.30.0". @throws {Error} as {@linkcode openOrtApi} does. */
export function ortVersion(path: string = ortLibraryPath()): string {
  return openLibrary(path).version;
}

/** Calls `call` with a cell that a C function fills, and returns the cell's value. */
export function out(call: (cell: BigUint64Array<ArrayBuffer>) => void): bigint {
  const cell = new BigUint64Array(1);
  call(cell);
  return cell[0]!;
}

/** Returns the address of the first byte of JavaScript memory. The caller must keep `memory` alive. */
export function addressOf(memory: ArrayBufferView<ArrayBuffer>): bigint {
  // V8 keeps small arrays in its heap, where they may move, until their buffer is requested.
  const bytes = new Uint8Array(memory.buffer, memory.byteOffset, memory.byteLength);
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes));
}

function openLibrary(path: string): OpenLibrary {
  let library = opened.get(path);
  if (library === undefined) {
    const { table, version } = openTable(path);
    opened.set(path, library = { api: bind(table), version });
  }
  return library;
}

function openTable(path: string): { table: Deno.UnsafePointerView; version: string } {
  let library;
  try {
    library = Deno.dlopen(path, { OrtGetApiBase: { parameters: [], result: "pointer" } });
  } catch (cause) {
    if (cause instanceof Deno.errors.NotCapable) throw cause;
    const remedy = `Run 'deno install', or name a libonnxruntime 1.30 with ${ORT_LIBRARY_VARIABLE}`;
    throw new Error(`Cannot load ONNX Runtime from '${path}': ${(cause as Error).message}. ${remedy}`, {
      cause,
    });
  }
  // struct OrtApiBase { GetApi, GetVersionString }
  const base = new Deno.UnsafePointerView(library.symbols.OrtGetApiBase()!);
  const getApi = new Deno.UnsafeFnPointer(base.getPointer(0)!, { parameters: ["u32"], result: "pointer" });
  const getVersion = new Deno.UnsafeFnPointer(base.getPointer(8)!, { parameters: [], result: "pointer" });
  const version = Deno.UnsafePointerView.getCString(getVersion.call()!);
  const table = getApi.call(API_VERSION);
  if (table === null) {
    throw new Error(
      `Cannot use ONNX Runtime ${version} from '${path}' as 1.${API_VERSION} or later is needed`,
    );
  }
  return { table: new Deno.UnsafePointerView(table), version };
}

function bind(table: Deno.UnsafePointerView): OrtApi {
  const api: Record<string, unknown> = {};
  const raise = (status: Deno.PointerObject) => {
    throw takeStatus(api as OrtApi, status);
  };
  for (const [name, signature] of Object.entries<Signature>(SIGNATURES)) {
    const { index, parameters, result, nonblocking = false } = signature;
    const definition = {
      parameters,
      result: result ?? "pointer",
      nonblocking,
    } satisfies Deno.ForeignFunction;
    const fn = new Deno.UnsafeFnPointer(table.getPointer(index * 8)!, definition);
    const call = fn.call.bind(fn) as (...args: unknown[]) => unknown;
    if (result !== undefined) {
      api[name] = call;
    } else if (nonblocking) {
      api[name] = async (...args: unknown[]) => {
        const status = await call(...args) as Deno.PointerValue;
        if (status !== null) raise(status);
      };
    } else {
      api[name] = (...args: unknown[]) => {
        const status = call(...args) as Deno.PointerValue;
        if (status !== null) raise(status);
      };
    }
  }
  return api as OrtApi;
}

function takeStatus(api: OrtApi, status: Deno.PointerObject): OrtError {
  try {
    const code = ORT_ERROR_CODES[api.GetErrorCode(status)] ?? "fail";
    return new OrtError(plainMessage(Deno.UnsafePointerView.getCString(api.GetErrorMessage(status)!)), {
      code,
    });
  } finally {
    api.ReleaseStatus(status);
  }
}

/** Returns the first line without source locations and C++ signatures. */
function plainMessage(text: string): string {
  const [line = ""] = text.trim().split("\n", 1);
  return line.replace(/\S+\.(cc|h):\d+ .*?( was false\. |\[ONNXRuntimeError\] : \d+ : \w+ : )/g, "").trim();
}
