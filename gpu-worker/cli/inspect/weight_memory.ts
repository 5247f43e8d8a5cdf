// Predicts the memory that the weights of a component take, once loaded and while they are loaded.
import type { Quantization, WeightEntry, Weights } from "../../checkpoint/weights.ts";
import { DTYPE_BYTES } from "../../runtime/dtype.ts";
import type { DType, ProviderName } from "../../runtime/mod.ts";
import { elementCount } from "../../runtime/tensor.ts";
import { CACHED_BYTES } from "../../session/graph_cache.ts";
import { COMPUTED_BYTES } from "../../session/load_computed.ts";

export interface WeightMemoryOptions {
  /** Compute type of the denoiser. */
  dtype: DType;
  provider: ProviderName;
  /** Weights that the graph holds in the type of their file. */
  tables: ReadonlySet<string> | undefined;
  /** Whether the VAE's encoder is loaded. */
  encodes: boolean;
  /** Whether the text encoder's vision tower is loaded. */
  sees: boolean;
  /** Whether the component runs once a prompt. */
  isRare: boolean;
}

export interface WeightMemory {
  /** The weights as ONNX Runtime holds them. */
  bytes: number;
  /** Additional memory while LoRAs are folded into the weights. */
  loraBytes: number;
  /** Additional memory while convolutions' weights are laid out anew. */
  reorderedBytes: number;
}

/** The allocator grows by doubling, which leaves unused room where weights are cast instead of mapped. */
const CAST_OVERHEAD = 1.2;
/** The same of large weights, of which each fills a block of its own: measured on Stable Diffusion 1.5. */
const LARGE_CAST_OVERHEAD = 1.06;
const LARGE_WEIGHT_BYTES = 2 ** 20;
/**
 * Memory that a large graph takes to lay its convolutions' weights out, in those weights. Freed blocks count
 * too, as they stay meanwhile (keepFreedMemory).
 *
 * This number and the next one are fitted on SDXL's two runs in docs/benchmarks.md, with and without
 * --offload. No other model was measured that has convolutions and is large enough.
 */
const LAYOUT_COPIES = 1.5;
/**
 * Matrices that are computed until the layout ends, in the same weights. Later matrices lie in the memory
 * that the layout has returned.
 */
const MATRICES_A_LAYOUT = 4;
/** A weight with a LoRA is read, added to and packed: two more copies besides the one that stays. */
const LORA_COPIES = 2;

/** Matrices that are cast but not yet multiplied with, at most, in those of the largest. */
const CASTS_AT_A_TIME = 3;

/** The VAE's encoder, which is loaded with the first image. */
const ENCODER = /^(encoder|quant_conv)\./;
/** The text encoder's vision tower. */
const TOWER = /^(?:model\.)?visual\./;
/** The text encoder's layer for the next word. Prompts do not reach it, so no graph loads it. */
const HEAD = /^lm_head\./;

/**
 * Predicts the bytes of a component's weights.
 * Weights stored in the compute type are mapped, and only the packed copy stays once they are packed for
 * multiplication. Their size counts once. Weights of another type are cast at load and count in the compute
 * type: matrices of large graphs on the CPU into memory of their exact size (load_computed.ts). Tables stay
 * in their file, in its type, and so do matrices of large text encoders on the CPU (cast_each_run.ts).
 */
export function weightMemory(weights: Weights, options: WeightMemoryOptions): WeightMemory {
  const { dtype, tables, provider } = options;
  let [bytes, loraBytes, matrixBytes] = [0, 0, 0];
  const unloaded = unloadedLayers(weights, options);
  const loaded = [...weights].filter(([name]) => !unloaded.some((layers) => layers.test(name)));
  const storedBytes = loaded.reduce((sum, [, { byteLength }]) => sum + byteLength, 0);
  const isWhole = provider === "cpu" &&
    loaded.every(([, { quantization }]) => quantization === undefined);
  const isComputed = isWhole && dtype === "float32" && storedBytes > COMPUTED_BYTES;
  const isCast = isWhole && options.isRare && storedBytes > CACHED_BYTES;
  let largestCast = 0;
  for (const [name, entry] of loaded) {
    const isTable = tables?.has(name) ?? false;
    if (isCast && !isTable && isCastMatrix(entry, dtype)) {
      bytes += entry.byteLength;
      largestCast = Math.max(largestCast, elementCount(entry.shape) * DTYPE_BYTES[dtype]);
      continue;
    }
    const isExact = isComputed && entry.shape.length !== 4;
    const held = heldBytes(entry, { dtype: isTable ? entry.dtype : dtype, isExact });
    bytes += held;
    if (isExact) matrixBytes += held;
    // Beside blocks, a LoRA is a branch of its own. Elsewhere it is added in memory that is used again.
    if (entry.additions && !entry.quantization && !isExact) loraBytes += LORA_COPIES * held;
  }
  const layout = provider === "cpu" ? layoutBytes(weights, dtype) : 0;
  // Matrices that are computed later have their memory when the layout has returned its own.
  const later = Math.max(0, matrixBytes - MATRICES_A_LAYOUT * layout);
  const reorderedBytes = isComputed ? Math.max(0, LAYOUT_COPIES * layout - later) : layout;
  return { bytes: bytes + CASTS_AT_A_TIME * largestCast, loraBytes, reorderedBytes };
}

/** Whether a run can cast a weight from its file: a matrix without a LoRA, in another type that ONNX has. */
function isCastMatrix({ shape, dtype: stored, additions, blocks }: WeightEntry, dtype: DType): boolean {
  return shape.length === 2 && stored !== dtype && additions === undefined && blocks === undefined;
}

/** Returns the layers that no graph of the run loads. */
function unloadedLayers(weights: Weights, { encodes, sees }: WeightMemoryOptions): RegExp[] {
  const isVae = [...weights.keys()].some((name) => name.startsWith("decoder."));
  return [HEAD, ...isVae && !encodes ? [ENCODER] : [], ...sees ? [] : [TOWER]];
}

/**
 * Counts the convolutions' weights, which the CPU provider lays out anew by blocks of channels while
 * a graph is loaded. Both layouts are in memory until the graph is ready: of Stable Diffusion 1.5's
 * UNet, 2.2 GiB beside 3.2 GiB.
 */
function layoutBytes(weights: Weights, dtype: DType): number {
  let bytes = 0;
  for (const [name, { shape }] of weights) {
    if (shape.length === 4 && !ENCODER.test(name)) {
      bytes += elementCount(shape) * DTYPE_BYTES[dtype];
    }
  }
  return bytes;
}

/** Returns the bytes of one element in blocks, each with a scale in float32. */
function bytesInBlocks({ bits, blockSize }: Quantization): number {
  return bits / 8 + DTYPE_BYTES.float32 / blockSize;
}

function heldBytes(
  { shape, dtype: stored, quantization, blocks, scale, scales }: WeightEntry,
  { dtype, isExact }: { dtype: DType; isExact: boolean },
): number {
  const elements = elementCount(shape);
  if (quantization !== undefined) return elements * bytesInBlocks(quantization);
  const bytes = elements * DTYPE_BYTES[dtype];
  const isPlain = blocks === undefined && scale === undefined && scales === undefined;
  if (isExact || stored === dtype && isPlain) return bytes;
  return bytes * (bytes < LARGE_WEIGHT_BYTES ? CAST_OVERHEAD : LARGE_CAST_OVERHEAD);
}
