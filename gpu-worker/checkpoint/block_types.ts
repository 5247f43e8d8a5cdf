// GGUF's types of weights in blocks (ggml.h). A block holds its elements' bits and
// the scales that they share.

/** Number of elements in a block, and its size in bytes. */
export interface BlockLayout {
  readonly elements: number;
  readonly bytes: number;
}

export const BLOCK_TYPES = {
  Q4_0: { elements: 32, bytes: 18 },
  Q4_1: { elements: 32, bytes: 20 },
  Q5_0: { elements: 32, bytes: 22 },
  Q5_1: { elements: 32, bytes: 24 },
  Q8_0: { elements: 32, bytes: 34 },
  Q2_K: { elements: 256, bytes: 84 },
  Q3_K: { elements: 256, bytes: 110 },
  Q4_K: { elements: 256, bytes: 144 },
  Q5_K: { elements: 256, bytes: 176 },
  Q6_K: { elements: 256, bytes: 210 },
} as const satisfies Record<string, BlockLayout>;

export type BlockType = keyof typeof BLOCK_TYPES;
