// Rounds rows of numbers to 8 or 4 bits with a scale for each block, in the layout of ONNX
// Runtime's MatMulNBits: unsigned numbers around 2^(bits - 1), the even one of two 4-bit numbers in
// the lower half of a byte.
import type { Quantization } from "../weight_entry.ts";

/** Rows of `columns` numbers in blocks, and the scale of each block. */
export interface BlockRows {
  data: Uint8Array<ArrayBuffer>;
  scales: Float32Array<ArrayBuffer>;
}

/**
 * Quantizes `values`, whole rows of a multiple of `blockSize` columns.
 * 8 bits are symmetric: the largest number of a block becomes 127 or -127.
 * 4 bits give the largest number -8, which uses all 16 levels and errs less (as ggml's Q4_0).
 * A block with a number that is not finite gets the scale NaN, so that pictures fail
 * as they do without blocks.
 */
export function quantizeBlocks(values: Float32Array, { bits, blockSize }: Quantization): BlockRows {
  const blocks = values.length / blockSize;
  const rows = {
    data: new Uint8Array(values.length * bits / 8),
    scales: new Float32Array(blocks),
  };
  if (bits === 8) quantize8(values, rows, blockSize);
  else quantize4(values, rows, blockSize);
  return rows;
}

function quantize8(values: Float32Array, { data, scales }: BlockRows, blockSize: number): void {
  for (let block = 0, at = 0; block < scales.length; block++, at += blockSize) {
    const end = at + blockSize;
    let largest = 0;
    let probe = 0;
    for (let i = at; i < end; i++) {
      const size = Math.abs(values[i]!);
      if (size > largest) largest = size;
      probe += values[i]! * 0;
    }
    const scale = scales[block] = Math.fround(largest / 127) + probe;
    const factor = scale === 0 ? 0 : 1 / scale;
    for (let i = at; i < end; i++) data[i] = values[i]! * factor + 128.5;
  }
}

function quantize4(values: Float32Array, { data, scales }: BlockRows, blockSize: number): void {
  for (let block = 0, at = 0; block < scales.length; block++, at += blockSize) {
    const end = at + blockSize;
    let largest = 0;
    let probe = 0;
    for (let i = at; i < end; i++) {
      if (Math.abs(values[i]!) > Math.abs(largest)) largest = values[i]!;
      probe += values[i]! * 0;
    }
    const scale = scales[block] = Math.fround(largest / -8) + probe;
    const factor = scale === 0 ? 0 : 1 / scale;
    for (let i = at; i < end; i += 2) {
      const low = Math.min(15, values[i]! * factor + 8.5) & 15;
      const high = Math.min(15, values[i + 1]! * factor + 8.5) & 15;
      data[i >> 1] = low | (high << 4);
    }
  }
}
