// Reads the header of a .safetensors file: https://huggingface.co/docs/safetensors (8-byte length, JSON,
// data). The data itself stays on disk; ONNX Runtime maps it from there.
import { type DType, DTYPE_BYTES } from "../runtime/dtype.ts";
import { showValue } from "../../sampler/mod.ts";
import { CheckpointError } from "./checkpoint_error.ts";

/** One tensor of a file. `offset` counts bytes from the beginning of the file. */
export interface SafetensorsEntry {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly byteLength: number;
}

const DTYPES: Record<string, DType> = {
  F64: "float64",
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
  F8_E4M3: "float8_e4m3fn",
  F8_E5M2: "float8_e5m2",
  // A power of two. Only as a scale of blocks, whose reader knows what it means.
  F8_E8M0: "uint8",
  I64: "int64",
  I32: "int32",
  I8: "int8",
  U8: "uint8",
  BOOL: "bool",
};
const METADATA = "__metadata__";
/**
 * Limits of a header. The largest checkpoints have some 100 kB and 2,000 tensors per file;
 * more means an attack or damage.
 */
const MAX_HEADER_BYTES = 25_000_000;
const MAX_TENSORS = 100_000;
const MAX_NAME_LENGTH = 1000;
const MAX_RANK = 8;

/**
 * Reads and checks the header of the safetensors file at `path`.
 * @throws {CheckpointError} if the file is missing, truncated or its header breaks the format.
 */
export function readSafetensorsHeader(path: string): Map<string, SafetensorsEntry> {
  const { header, ...extent } = readHeader(path);
  const entries = new Map<string, SafetensorsEntry>();
  const tensors = Object.entries(header);
  if (tensors.length > MAX_TENSORS) {
    throw new CheckpointError(
      `Cannot read ${path} as its header must list at most ${MAX_TENSORS} tensors, ` +
        `but lists ${tensors.length}`,
    );
  }
  for (const [name, value] of tensors) {
    if (name !== METADATA) entries.set(name, entry(name, value, { path, ...extent }));
  }
  return entries;
}

/**
 * Returns the texts that the file at `path` stores besides its tensors, by name.
 * @throws {CheckpointError} as `readSafetensorsHeader`.
 */
export function readSafetensorsMetadata(path: string): Record<string, string> {
  const texts = Object.entries(readHeader(path).header[METADATA] ?? {});
  return Object.fromEntries(texts.filter((text): text is [string, string] => typeof text[1] === "string"));
}

function readHeader(path: string): Omit<FileExtent, "path"> & { header: Record<string, unknown> } {
  using file = open(path);
  const size = file.statSync().size;
  const prefix = readExactly(file, 8, path);
  const headerBytes = Number(new DataView(prefix.buffer).getBigUint64(0, true));
  if (headerBytes > size - 8) {
    throw new CheckpointError(
      `Cannot read ${path} as its header claims ${headerBytes} bytes in a file of ${size}: truncated, ` +
        "or not safetensors",
    );
  }
  if (headerBytes > MAX_HEADER_BYTES) {
    throw new CheckpointError(
      `Cannot read ${path} as its header must have at most ${MAX_HEADER_BYTES} bytes, but has ${headerBytes}`,
    );
  }
  return { header: parseHeader(readExactly(file, headerBytes, path), path), start: 8 + headerBytes, size };
}

function open(path: string): Deno.FsFile {
  try {
    return Deno.openSync(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) {
      throw new CheckpointError(`Cannot read ${path} as it does not exist`, { cause });
    }
    throw cause;
  }
}

function readExactly(file: Deno.FsFile, count: number, path: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(count);
  for (let filled = 0; filled < count;) {
    const read = file.readSync(bytes.subarray(filled));
    if (read === null) {
      throw new CheckpointError(`Cannot read ${path} as it ends after ${filled} header bytes`);
    }
    filled += read;
  }
  return bytes;
}

function parseHeader(bytes: Uint8Array, path: string): Record<string, unknown> {
  try {
    const header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (typeof header === "object" && header !== null && !Array.isArray(header)) return header;
  } catch (cause) {
    throw new CheckpointError(`Cannot read ${path} as its header is not JSON`, { cause });
  }
  throw new CheckpointError(`Cannot read ${path} as its header is not a JSON object`);
}

interface FileExtent {
  path: string;
  /** Offset of the tensor data, in bytes. */
  start: number;
  /** Length of the file, in bytes. */
  size: number;
}

function entry(key: string, value: unknown, { path, start, size }: FileExtent): SafetensorsEntry {
  const { dtype: code, shape, data_offsets: range } = (value ?? {}) as Record<string, unknown>;
  const refuse = (reason: string) =>
    new CheckpointError(`Cannot use '${showValue(key)}' in ${path} as ${reason}`);
  if (key.length > MAX_NAME_LENGTH) throw refuse(`its name has more than ${MAX_NAME_LENGTH} characters`);
  const dtype = typeof code === "string" && Object.hasOwn(DTYPES, code) ? DTYPES[code] : undefined;
  if (dtype === undefined) throw refuse(`its dtype ${showValue(JSON.stringify(code))} is not supported`);
  if (!isCounts(shape) || !isCounts(range) || range.length !== 2) {
    throw refuse("its shape or data_offsets are malformed");
  }
  if (shape.length > MAX_RANK) {
    throw refuse(`its shape must have at most ${MAX_RANK} dimensions, but has ${shape.length}`);
  }
  const [begin = 0, end = 0] = range;
  const expected = shape.reduce((product, n) => product * n, DTYPE_BYTES[dtype]);
  if (end - begin !== expected) {
    throw refuse(`${code} [${shape}] needs ${expected} bytes, but its range holds ${end - begin}`);
  }
  if (start + end > size) {
    throw refuse(`it ends at byte ${start + end} of a file of ${size}: truncated download?`);
  }
  return { dtype, shape, offset: start + begin, byteLength: expected };
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}
