// Opens the tensors of one component folder (transformer/, vae/, ...): single-file or sharded
// safetensors, symlinks resolved.
import { dirname, join } from "node:path";
import { showValue } from "../../sampler/mod.ts";
import { CheckpointError } from "./checkpoint_error.ts";
import { foldScales } from "./fold_scales.ts";
import { readStoredTensors, readTensors } from "./read_tensors.ts";
import type { WeightEntry, Weights } from "./weight_entry.ts";

export type {
  Addition,
  KroneckerAddition,
  KroneckerFactor,
  LowRankAddition,
  Quantization,
  Scales,
  WeightEntry,
  Weights,
  WholeAddition,
} from "./weight_entry.ts";

/** Limit of an index. It is a header's limit, as an index repeats a header's names. */
const MAX_INDEX_BYTES = 25_000_000;

/**
 * Opens `<folder>/<stem>.safetensors`, or the shards in `<folder>/<stem>.safetensors.index.json`. If neither
 * exists, opens the files of another precision: `<stem>.fp16.safetensors`,
 * `<stem>.safetensors.index.fp16.json`.
 * @param stem "diffusion_pytorch_model" in diffusers, "model" in transformers
 * @throws {CheckpointError} naming the file that is missing, truncated or malformed.
 */
export function openWeights(folder: string, stem: string): Weights {
  const file = findWeights(folder, stem);
  if (file === undefined) {
    throw new CheckpointError(
      `Cannot load weights from ${folder} as it holds neither ${stem}.safetensors nor its .index.json`,
    );
  }
  const index = join(folder, file);
  if (file.endsWith(".safetensors")) return readTensors(index);
  const weightMap = readIndex(index);
  const weights = new Map<string, WeightEntry>();
  const formats = new Map<string, unknown>();
  for (const shard of new Set(weightMap.values())) {
    const stored = readStoredTensors(join(dirname(index), shard));
    for (const [module, format] of stored.formats) formats.set(module, format);
    for (const [name, entry] of stored.tensors) {
      if (weightMap.get(name) === shard) weights.set(name, entry);
    }
  }
  for (const [name, shard] of weightMap) {
    if (!weights.has(name)) {
      throw new CheckpointError(
        `Cannot load '${showValue(name)}' as ${join(folder, shard)} does not hold it`,
      );
    }
  }
  return foldScales(index, weights, { formats });
}

/** Returns the file, or the index of shards, that `openWeights` would open; undefined if there is none. */
export function findWeights(folder: string, stem: string): string | undefined {
  const names = [`${stem}.safetensors`, `${stem}.safetensors.index.json`];
  // If both exist, transformers reads the file and diffusers follows the index.
  if (stem === "diffusion_pytorch_model") names.reverse();
  const plain = names.find((name) => exists(join(folder, name)));
  if (plain !== undefined) return plain;
  const variant = /^(?:\.[a-z0-9]+\.safetensors|\.safetensors\.index\.[a-z0-9]+\.json)$/;
  return namesIn(folder).find((name) => name.startsWith(stem) && variant.test(name.slice(stem.length)));
}

function readIndex(path: string): Map<string, string> {
  let parsed: unknown;
  try {
    const { size } = Deno.statSync(path);
    if (size > MAX_INDEX_BYTES) {
      throw new CheckpointError(
        `Cannot read ${path} as it must have at most ${MAX_INDEX_BYTES} bytes, but has ${size}`,
      );
    }
    parsed = JSON.parse(Deno.readTextFileSync(path)).weight_map;
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause;
    throw new CheckpointError(`Cannot read ${path} as it is not JSON`, { cause });
  }
  const pairs = Object.entries((parsed ?? {}) as Record<string, unknown>);
  const plain = (file: unknown): file is string =>
    typeof file === "string" && file.length <= 255 && file.endsWith(".safetensors") && !/[/\\\0]/.test(file);
  if (pairs.length === 0 || !pairs.every(([, file]) => plain(file))) {
    throw new CheckpointError(
      `Cannot read ${path} as its weight_map is not a table of tensor names and file names`,
    );
  }
  return new Map(pairs as [string, string][]);
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
