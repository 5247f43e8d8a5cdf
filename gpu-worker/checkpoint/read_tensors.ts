// Reads the names and places of a file's tensors, whatever the file's format. The bytes stay where they are.
import { CheckpointError } from "./checkpoint_error.ts";
import { comfyFormatsOf } from "./comfy_formats.ts";
import { foldScales } from "./fold_scales.ts";
import { GGUF_MAGIC, readGguf } from "./gguf.ts";
import { readSafetensorsHeader } from "./safetensors.ts";
import type { WeightEntry } from "./weight_entry.ts";

/**
 * Returns the tensors of the file at `path`, in the file's order. Symlinks are resolved.
 * @throws {CheckpointError} if the file is missing, truncated, malformed or a pickle.
 */
export function readTensors(path: string): Map<string, WeightEntry> {
  const { tensors, formats } = readStoredTensors(path);
  return foldScales(path, tensors, { formats });
}

/** A file's tensors, with scales of their own, and what its header says of them. */
export interface StoredTensors {
  tensors: Map<string, WeightEntry>;
  /** ComfyUI's descriptions of layers. */
  formats: Map<string, unknown>;
}

/**
 * Reads the file at `path` as it is stored: the scales of fp8 are tensors of their own.
 * Shards are read so, as a scale may lie in another shard than its tensor.
 * @throws {CheckpointError} as `readTensors`, but for scales.
 */
export function readStoredTensors(path: string): StoredTensors {
  const bytes = firstBytes(path);
  refusePickle(path, bytes);
  if (new TextDecoder().decode(bytes.subarray(0, 4)) === GGUF_MAGIC) {
    return { tensors: readGguf(path).tensors, formats: new Map() };
  }
  const entries = readSafetensorsHeader(path);
  const real = Deno.realPathSync(path);
  const tensors = new Map([...entries].map(([name, entry]) => [name, { ...entry, path: real }]));
  return { tensors, formats: comfyFormatsOf(path) };
}

/** Refuses torch's own format, whose reader runs code from the file. */
function refusePickle(path: string, bytes: Uint8Array): void {
  const isZip = bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 3 && bytes[3] === 4;
  // A safetensors file begins with a length, whose upper half is zero.
  const isProtocol = bytes[0] === 0x80 && bytes[1]! >= 2 && bytes[1]! <= 5 &&
    bytes.subarray(4).some((byte) => byte !== 0);
  if (!isZip && !isProtocol) return;
  throw new CheckpointError(
    `Cannot read ${path} as it is a pickle (.ckpt, .pt, .pth, .bin), ` +
      "which can run code when it is opened. Try the same model as .safetensors",
  );
}

function firstBytes(path: string): Uint8Array {
  const bytes = new Uint8Array(8);
  try {
    using file = Deno.openSync(path);
    return bytes.subarray(0, file.readSync(bytes) ?? 0);
  } catch (error) {
    // The format's own reader says what is wrong with the file.
    if (error instanceof Deno.errors.NotFound) return bytes;
    throw error;
  }
}
