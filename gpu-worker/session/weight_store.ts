// Keeps converted weights on disk, so that a model larger than memory is converted in small pieces, ONNX
// Runtime maps the result, and the next start finds it.
import { createHash } from "node:crypto";
import { join } from "node:path";
import { PROJECT_FOLDER } from "../../protocol/process/project_folder.ts";
import { CheckpointError } from "../checkpoint/checkpoint_error.ts";
import { writeConverted } from "../checkpoint/blocks/converted_tensor.ts";
import { fileDigest } from "../checkpoint/model_digest.ts";
import { trimHeap } from "../runtime/trim_heap.ts";
import type { Conversion, OnnxModel } from "../graph/graph_builder.ts";

/** Commands and the worker keep converted weights in the checkout, wherever the user is. */
export const WEIGHT_CACHE_FOLDER: string = join(PROJECT_FOLDER, ".cache", "weights");

/** Changes whenever the same weights would be converted to other bytes. */
const FORMAT = 1;
/** Largest size of all kept files together, in bytes. The file that was used longest ago is deleted first. */
const MAX_BYTES = 64 * 2 ** 30;
/** Smallest conversion that is worth a message, in bytes. */
const LARGE_BYTES = 2 ** 30;
const SUFFIX = ".weights";

export interface WeightStoreOptions {
  /**
   * Folder that keeps converted weights.
   * @default a temporary one, which is deleted when the store is disposed of
   */
  folder?: string | undefined;
  /** Receives a message before a conversion that takes long. */
  warn?: ((message: string) => void) | undefined;
}

export class WeightStore implements Disposable {
  readonly #options: WeightStoreOptions;
  #temporary: string | undefined;

  constructor(options: WeightStoreOptions = {}) {
    this.#options = options;
  }

  /**
   * Returns `model` with its converted weights in place. Converts them if they are not kept yet.
   * @throws {CheckpointError} if a file is truncated, or if the folder cannot be written.
   */
  async place(model: OnnxModel): Promise<OnnxModel> {
    const { conversion, ...rest } = model;
    if (conversion === undefined) return model;
    const folder = this.#folder();
    const path = join(folder, `${model.name.replaceAll(/\W+/g, "-")}-${keyOf(conversion)}${SUFFIX}`);
    if (isWhole(path, conversion)) Deno.utimeSync(path, new Date(), new Date());
    else await this.#write(path, model.name, conversion);
    return { ...rest, bytes: conversion.place(path) };
  }

  [Symbol.dispose](): void {
    if (this.#temporary !== undefined) Deno.removeSync(this.#temporary, { recursive: true });
    this.#temporary = undefined;
  }

  #folder(): string {
    const { folder } = this.#options;
    if (folder === undefined) {
      return this.#temporary ??= Deno.makeTempDirSync({ prefix: "spectrum-weights-" });
    }
    try {
      Deno.mkdirSync(folder, { recursive: true });
    } catch (cause) {
      throw unwritable(folder, cause);
    }
    return Deno.realPathSync(folder);
  }

  async #write(path: string, name: string, conversion: Conversion): Promise<void> {
    const { byteLength } = conversion;
    if (byteLength > LARGE_BYTES) {
      const size = (byteLength / 2 ** 30).toFixed(1);
      this.#options.warn?.(
        `Converting ${name}'s weights to ${size} GiB, which the next start finds in ${path}`,
      );
    }
    const part = `${path}.${crypto.randomUUID().slice(0, 8)}.part`;
    try {
      using file = openNew(part);
      for (const tensor of conversion.tensors) await writeConverted(file, tensor);
      await file.truncate(byteLength);
      Deno.renameSync(part, path);
    } catch (error) {
      try {
        Deno.removeSync(part);
      } catch {
        // Never created, or renamed.
      }
      throw error instanceof CheckpointError ? error : unwritable(path, error);
    }
    trimHeap();
    discardOldest(path);
  }
}

function openNew(path: string): Deno.FsFile {
  return Deno.openSync(path, { write: true, createNew: true });
}

function unwritable(path: string, cause: unknown): CheckpointError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new CheckpointError(
    `Cannot keep converted weights in ${path}: ${
      reason.split("\n")[0]
    }. Try --weights as-stored, or free disk space.`,
    { cause },
  );
}

function isWhole(path: string, { byteLength }: Conversion): boolean {
  try {
    return Deno.statSync(path).size === byteLength;
  } catch {
    return false;
  }
}

/** Hashes the sources' content and all that decides the converted bytes. */
function keyOf({ tensors }: Conversion): string {
  const hash = createHash("sha256").update(`${FORMAT}`);
  const digests = new Map<string, string>();
  const digestOf = (path: string) => {
    const digest = digests.get(path) ?? fileDigest(path);
    digests.set(path, digest);
    return digest;
  };
  for (const { source, quantization, offset, scalesOffset } of tensors) {
    const { path, shape, dtype, blocks, scale, scales, rotation, order } = source;
    const digest = digestOf(path);
    const place = [digest, source.offset, offset, scalesOffset, shape, dtype, blocks, scale, order];
    const layout = quantization?.wholeRows ? ["by columns"] : [];
    const beside = scales &&
      [digestOf(scales.tensor.path), scales.tensor.offset, scales.firstRow, scales.factor];
    const others = scales || rotation ? [beside, rotation] : [];
    hash.update(
      JSON.stringify([...place, quantization?.bits, quantization?.blockSize, ...layout, ...others]),
    );
  }
  return hash.digest("hex").slice(0, 32);
}

/** Deletes files until the rest fits. The file at `kept` stays. */
function discardOldest(kept: string): void {
  const folder = join(kept, "..");
  const files = [...Deno.readDirSync(folder)].filter(({ name }) => name.includes(SUFFIX)).flatMap(
    ({ name }) => {
      const path = join(folder, name);
      try {
        const { size, mtime } = Deno.statSync(path);
        return [{ path, size, used: path === kept ? Infinity : mtime?.getTime() ?? 0 }];
      } catch {
        return [];
      }
    },
  ).sort((a, b) => b.used - a.used);
  let total = 0;
  for (const { path, size } of files) {
    total += size;
    if (total <= MAX_BYTES || path === kept) continue;
    try {
      Deno.removeSync(path);
    } catch {
      // Another process may have deleted it.
    }
  }
}
