// Types of weights in blocks. A block of GGUF (ggml.h) holds its elements' bits and the scales that they
// share. A block of ComfyUI holds bits alone: its scales are in a tensor of their own (scaled_blocks.ts).

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
  NVFP4: { elements: 16, bytes: 8 },
  MXFP8: { elements: 32, bytes: 32 },
  INT8: { elements: 1, bytes: 1 },
  INT8_CONVROT: { elements: 1, bytes: 1 },
} as const satisfies Record<string, BlockLayout>;

export type BlockType = keyof typeof BLOCK_TYPES;

/** ComfyUI's types. */
export type ScaledBlockType = "NVFP4" | "MXFP8" | "INT8" | "INT8_CONVROT";
/** GGUF's types. */
export type GgufBlockType = Exclude<BlockType, ScaledBlockType>;

/** Returns whether the scales of such blocks lie in a tensor of their own. */
export function isScaledBlockType(type: BlockType): type is ScaledBlockType {
  return type === "NVFP4" || type === "MXFP8" || type === "INT8" || type === "INT8_CONVROT";
}
