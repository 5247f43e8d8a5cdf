// Decodes ComfyUI's blocks, whose scales lie in a tensor of their own, with the numbers of comfy-kitchen's
// dequantize functions in float32. NVFP4: pairs of E2M1 numbers, the even column in the upper half, with an
// E4M3 scale for 16 columns times the tensor's. MXFP8: E4M3 numbers with a power of two for 32 columns.
// INT8: a scale for each row or the tensor. ConvRot's columns were rotated before, and are rotated back.
import type { ScaledBlockType } from "../block_types.ts";
import type { Quantization } from "../weight_entry.ts";
import { numberTable } from "./number_tables.ts";
import type { BlockRows } from "./quantize_blocks.ts";

/** Rows of numbers, and what they are multiplied with. */
export interface ScaledRows {
  bytes: Uint8Array;
  type: ScaledBlockType;
  /** Numbers in a row. */
  columns: number;
  /** A scale for each block of NVFP4 and MXFP8, or for each row of INT8; undefined if all rows share one. */
  scales: Float32Array | undefined;
  /** Columns of a group that ConvRot has rotated. @default none are */
  rotation?: number | undefined;
}

/** Twice the numbers of E2M1, which are whole. */
const TWICE_E2M1 = [0, 1, 2, 3, 4, 6, 8, 12, -0, -1, -2, -3, -4, -6, -8, -12];
const HALF_BLOCK = 8;
const MXFP8_BLOCK = 32;

/** Decodes whole rows to float32, without a scale that all of them share. */
export function decodeScaledBlocks(rows: ScaledRows): Float32Array<ArrayBuffer> {
  const { bytes, type, columns, scales } = rows;
  switch (type) {
    case "NVFP4": {
      const values = new Float32Array(2 * bytes.length);
      for (let i = 0; i < bytes.length; i++) {
        const scale = scales![Math.floor(i / HALF_BLOCK)]!;
        values[2 * i] = TWICE_E2M1[bytes[i]! >> 4]! / 2 * scale;
        values[2 * i + 1] = TWICE_E2M1[bytes[i]! & 15]! / 2 * scale;
      }
      return values;
    }
    case "MXFP8": {
      const table = numberTable("float8_e4m3fn");
      return Float32Array.from(bytes, (byte, i) => table[byte]! * scales![Math.floor(i / MXFP8_BLOCK)]!);
    }
    case "INT8":
    case "INT8_CONVROT": {
      const values = new Float32Array(bytes.length);
      for (let i = 0; i < bytes.length; i++) {
        values[i] = signed(bytes[i]!) * (scales?.[Math.floor(i / columns)] ?? 1);
      }
      if (rows.rotation !== undefined) rotateBack(values, rows.rotation);
      return values;
    }
  }
}

/**
 * Rewrites whole rows for ONNX Runtime's products without a loss: NVFP4's numbers doubled are whole, and
 * INT8's are.
 * @param scale the scale that all rows share
 */
export function repackScaledBlocks(
  { bytes, type, columns, scales }: ScaledRows,
  { scale = 1, blockSize }: { scale?: number | undefined } & Pick<Quantization, "blockSize">,
): BlockRows {
  if (type === "NVFP4") {
    const data = new Uint8Array(2 * bytes.length);
    for (let i = 0; i < bytes.length; i++) {
      data[2 * i] = 128 + TWICE_E2M1[bytes[i]! >> 4]!;
      data[2 * i + 1] = 128 + TWICE_E2M1[bytes[i]! & 15]!;
    }
    return { data, scales: Float32Array.from(scales!, (factor) => factor * scale / 2) };
  }
  const blocks = columns / blockSize;
  return {
    data: Uint8Array.from(bytes, (byte) => byte ^ 0x80),
    scales: Float32Array.from(
      { length: bytes.length / blockSize },
      (_, i) => (scales?.[Math.floor(i / blocks)] ?? 1) * scale,
    ),
  };
}

/**
 * Multiplies each group of columns with ConvRot's matrix (arXiv 2512.03673): the Kronecker product of as many
 * of the matrices [1 1 1 -1; 1 1 -1 1; 1 -1 1 1; -1 1 1 1] / 2 as make its size. It is its own inverse.
 */
function rotateBack(values: Float32Array, size: number): void {
  const group = new Float64Array(size);
  for (let start = 0; start < values.length; start += size) {
    group.set(values.subarray(start, start + size));
    for (let stride = 1; stride < size; stride *= 4) {
      for (let i = 0; i < size; i++) {
        if (Math.floor(i / stride) % 4 !== 0) continue;
        const [a, b, c, d] = [0, 1, 2, 3].map((n) => group[i + n * stride]!) as [
          number,
          number,
          number,
          number,
        ];
        const half = (a + b + c + d) / 2;
        group[i] = half - d;
        group[i + stride] = half - c;
        group[i + 2 * stride] = half - b;
        group[i + 3 * stride] = half - a;
      }
    }
    values.set(group, start);
  }
}

function signed(byte: number): number {
  return byte << 24 >> 24;
}
