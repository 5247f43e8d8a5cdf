// Rewrites GGUF's symmetric blocks for ONNX Runtime's MatMulNBits, block for block and without a loss: the
// same whole numbers and scales in another order.
import type { Quantization } from "../weight_entry.ts";
import { BLOCK_TYPES, type BlockType, type GgufBlockType } from "../block_types.ts";
import { fiveBits } from "./dequantize_blocks.ts";
import { numberTable } from "./number_tables.ts";
import type { BlockRows } from "./quantize_blocks.ts";

/** The quantization that holds each type exactly. Numbers of 5 bits take 8. */
const EXACT: Partial<Record<BlockType, Quantization>> = {
  Q8_0: { bits: 8, blockSize: 32 },
  Q5_0: { bits: 8, blockSize: 32 },
  Q4_0: { bits: 4, blockSize: 32 },
  NVFP4: { bits: 8, blockSize: 16 },
  // Rows may be longer blocks.
  INT8: { bits: 8, blockSize: 16 },
};

/** Returns the quantization that holds `type` without a loss, if there is one. */
export function exactQuantization(type: BlockType): Quantization | undefined {
  return EXACT[type];
}

/** Rewrites whole blocks of `type`, which must have an exact quantization. */
export function repackBlocks(bytes: Uint8Array, type: GgufBlockType): BlockRows {
  const { elements, bytes: size } = BLOCK_TYPES[type];
  const { bits } = EXACT[type]!;
  const half = numberTable("float16");
  const blocks = bytes.length / size;
  const length = elements * bits / 8;
  const data = new Uint8Array(blocks * length);
  const scales = new Float32Array(blocks);
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += size, to += length) {
    scales[block] = half[bytes[at]! | bytes[at + 1]! << 8]!;
    if (type === "Q8_0") {
      // Adds 128.
      for (let i = 0; i < 32; i++) data[to + i] = bytes[at + 2 + i]! ^ 0x80;
    } else if (type === "Q5_0") {
      for (let i = 0; i < 32; i++) data[to + i] = fiveBits(bytes, at + 2, i) + 112;
    } else {
      for (let i = 0; i < 16; i++) {
        const [first, second] = [2 * i, 2 * i + 1].map((n) => bytes[at + 2 + (n & 15)]! >> (n >> 4) * 4 & 15);
        data[to + i] = first! | second! << 4;
      }
    }
  }
  return { data, scales };
}
