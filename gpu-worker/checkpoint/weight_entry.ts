// A tensor of a file: where its bytes are, what they mean, and what is added to it.
import type { BlockType } from "./block_types.ts";
import type { SafetensorsEntry } from "./safetensors.ts";

/** A tensor and the real path of the file that holds it. */
export interface WeightEntry extends SafetensorsEntry {
  readonly path: string;
  /**
   * How the file orders the elements, where its layout differs from diffusers' (`shape` is diffusers'):
   * "swapped" has the second half of the rows first, "transposed" has columns for rows. "identity" is
   * the identity matrix, which the file leaves out. "paired" has the two halves of each head's rows in
   * turn (llama.cpp's LLaMA). "zeros" is a bias that the file leaves out, because the layer has none: a
   * LoRA's addition is all there is to it.
   * @default as diffusers does
   */
  readonly order?: "swapped" | "transposed" | "identity" | "paired" | "zeros";
  /** Rows of a head, where `order` is "paired". */
  readonly headRows?: number;
  /** Block type of the bytes; `dtype` is then the decoded numbers' type. @default plain numbers */
  readonly blocks?: BlockType;
  /** Factor of every element, in files with scaled numbers. @default 1 */
  readonly scale?: number;
  /** Factors of rows, or of blocks in them, that the file keeps in another tensor. @default none */
  readonly scales?: Scales;
  /** Columns of each group that ComfyUI's ConvRot has rotated, where `blocks` says so. */
  readonly rotation?: number;
  /** How linear layers hold the tensor. Other layers ignore it. @default as stored */
  readonly quantization?: Quantization;
  /** LoRA changes that graphs add to the tensor. @default none */
  readonly additions?: readonly Addition[];
}

/**
 * Factors of a tensor's numbers. They count rows as the file orders them: a tensor that is a part of the
 * file's one, or has them in another order, has those of its rows in the file.
 */
export interface Scales {
  /** One number for each row; or, where the tensor is in blocks, for each block (scaled_blocks.ts). */
  readonly tensor: WeightEntry;
  /** Row of the file's tensor with which this one begins. */
  readonly firstRow: number;
  /** Factor of the scales themselves. @default 1 */
  readonly factor?: number;
}

/** Whole numbers of `bits` bits, with a float32 scale for each block of a row. */
export interface Quantization {
  readonly bits: 8 | 4;
  /** Columns that share a scale: a power of two from 16 on, or a row's number of columns (`wholeRows`). */
  readonly blockSize: number;
  /**
   * Whether a row is one block. Such numbers lie column by column, for products of whole numbers alone.
   * @default false
   */
  readonly wholeRows?: boolean;
}

/** A LoRA's change of one tensor. */
export type Addition = LowRankAddition | WholeAddition | KroneckerAddition;

interface ScaledAddition {
  readonly scale: number;
  /** Whether the two halves of its rows are in reverse order. @default false */
  readonly swapped?: boolean;
}

/** scale * up down (arXiv 2106.09685, section 4.1). */
export interface LowRankAddition extends ScaledAddition {
  /**
   * A: [rank, ...the weight's dimensions except the first]. One of a layer with fewer columns changes the
   * first ones alone: FLUX.1 Fill reads more channels than the FLUX.1-dev that LoRAs are made for.
   */
  readonly down: WeightEntry;
  /** B: [first dimension of the weight, rank], followed by ones for a convolution. */
  readonly up: WeightEntry;
  /**
   * DoRA's length of each row of W + scale * B A: [first dimension of the weight].
   * @default lengths as they come
   */
  readonly magnitude?: WeightEntry;
}

/** scale * whole, in the tensor's own shape. Files store changes of biases like this. */
export interface WholeAddition extends ScaledAddition {
  readonly whole: WeightEntry;
}

/**
 * LoKr's scale * left (x) right, a Kronecker product (arXiv 2309.14859): block i, j is left[i, j] * right.
 */
export interface KroneckerAddition extends ScaledAddition {
  readonly left: KroneckerFactor;
  readonly right: KroneckerFactor;
  /** The tensor's first row in the product. Other rows belong to the rest of the fused layer. */
  readonly firstRow: number;
}

/** A matrix, or the product of two: up down. */
export type KroneckerFactor = { readonly whole: WeightEntry } | {
  readonly up: WeightEntry;
  readonly down: WeightEntry;
};

/** Name -> entry for every tensor of a component. Only headers are in memory. */
export type Weights = ReadonlyMap<string, WeightEntry>;
