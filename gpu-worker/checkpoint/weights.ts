// Opens the tensors of one component folder (transformer/, vae/, ...): single-file or sharded
// safetensors, symlinks resolved.
import { dirname, join } from "node:path";
import { showValue } from "../../sampler/mod.ts";
import { CheckpointError } from "./checkpoint_error.ts";
import { readTensors } from "./read_tensors.ts";
import type { SafetensorsEntry } from "./safetensors.ts";

/** A tensor and the real path of the file that holds it. */
export interface WeightEntry extends SafetensorsEntry {
  readonly path: string;
  /**
   * How the file orders the elements, where its layout differs from diffusers' (`shape` is diffusers'):
   * "swapped" has the second half of the rows first, "transposed" has columns for rows. "identity" is the identity
   * matrix, which the file leaves out.
   * @default as diffusers does
   */
  readonly order?: "swapped" | "transposed" | "identity";
  /** LoRA changes that graphs add to the tensor. @default none */
  readonly additions?: readonly Addition[];
}

/** A LoRA's change of one tensor. */
export type Addition = LowRankAddition | WholeAddition;

interface ScaledAddition {
  readonly scale: number;
  /** Whether the two halves of its rows are in reverse order. @default false */
  readonly swapped?: boolean;
}

/** scale * up down (arXiv 2106.09685, section 4.1). */
export interface LowRankAddition extends ScaledAddition {
  /** A: [rank, ...the weight's dimensions except the first]. */
  readonly down: WeightEntry;
  /** B: [first dimension of the weight, rank], followed by ones for a convolution. */
  readonly up: WeightEntry;
  /** DoRA's length of each row of W + scale * B A: [first dimension of the weight]. @default lengths as they come */
  readonly magnitude?: WeightEntry;
}

/** scale * whole, in the tensor's own shape. Files store changes of biases like this. */
export interface WholeAddition extends ScaledAddition {
  readonly whole: WeightEntry;
}

/** Limit of an index. It is a header's limit, as an index repeats a header's names. */
const MAX_INDEX_BYTES = 25_000_000;

/** Name -> entry for every tensor of a component. Only headers are in memory. */
export type Weights = ReadonlyMap<string, WeightEntry>;

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
  for (const shard of new Set(weightMap.values())) {
    for (const [name, entry] of readTensors(join(dirname(index), shard))) {
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
  return weights;
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
