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
const TWICE_E2M1 = Float32Array.of(0, 1, 2, 3, 4, 6, 8, 12, -0, -1, -2, -3, -4, -6, -8, -12);
/** The same numbers as ONNX Runtime's products have them. */
const TWICE_E2M1_BYTES = Uint8Array.from(TWICE_E2M1, (number) => 128 + number);
const HALF_BLOCK = 8;
const MXFP8_BLOCK = 32;

/** Decodes whole rows to float32, without a scale that all of them share. */
export function decodeScaledBlocks(rows: ScaledRows): Float32Array<ArrayBuffer> {
  const { bytes, type, columns, scales } = rows;
  const values = new Float32Array(type === "NVFP4" ? 2 * bytes.length : bytes.length);
  if (type === "NVFP4") {
    for (let block = 0, at = 0; at < bytes.length; block++) {
      const scale = scales![block]! / 2;
      for (const end = at + HALF_BLOCK; at < end; at++) {
        values[2 * at] = TWICE_E2M1[bytes[at]! >> 4]! * scale;
        values[2 * at + 1] = TWICE_E2M1[bytes[at]! & 15]! * scale;
      }
    }
  } else if (type === "MXFP8") {
    const table = numberTable("float8_e4m3fn");
    for (let block = 0, at = 0; at < bytes.length; block++) {
      const scale = scales![block]!;
      for (const end = at + MXFP8_BLOCK; at < end; at++) values[at] = table[bytes[at]!]! * scale;
    }
  } else {
    for (let row = 0, at = 0; at < bytes.length; row++) {
      const scale = scales?.[row] ?? 1;
      for (const end = at + columns; at < end; at++) values[at] = signed(bytes[at]!) * scale;
    }
    if (rows.rotation !== undefined) rotateBack(values, rows.rotation);
  }
  return values;
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
      data[2 * i] = TWICE_E2M1_BYTES[bytes[i]! >> 4]!;
      data[2 * i + 1] = TWICE_E2M1_BYTES[bytes[i]! & 15]!;
    }
    const halved = new Float32Array(scales!.length);
    for (let i = 0; i < halved.length; i++) halved[i] = scales![i]! * scale / 2;
    return { data, scales: halved };
  }
  const data = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) data[i] = bytes[i]! ^ 0x80;
  const blocks = columns / blockSize;
  const factors = Float32Array.from(
    { length: bytes.length / blockSize },
    (_, i) => (scales?.[Math.floor(i / blocks)] ?? 1) * scale,
  );
  return { data, scales: factors };
}

/**
 * Multiplies each group of columns with ConvRot's matrix (arXiv 2512.03673): the Kronecker product of as many
 * of the matrices [1 1 1 -1; 1 1 -1 1; 1 -1 1 1; -1 1 1 1] / 2 as make its size. It is its own inverse.
 */
function rotateBack(values: Float32Array, size: number): void {
  const group = new Float64Array(size);
  for (let start = 0; start < values.length; start += size) {
    for (let i = 0; i < size; i++) group[i] = values[start + i]!;
    for (let stride = 1; stride < size; stride *= 4) {
      for (let first = 0; first < size; first += 4 * stride) {
        for (let i = first; i < first + stride; i++) {
          const a = group[i]!;
          const b = group[i + stride]!;
          const c = group[i + 2 * stride]!;
          const d = group[i + 3 * stride]!;
          const half = (a + b + c + d) / 2;
          group[i] = half - d;
          group[i + stride] = half - c;
          group[i + 2 * stride] = half - b;
          group[i + 3 * stride] = half - a;
        }
      }
    }
    for (let i = 0; i < size; i++) values[start + i] = group[i]!;
  }
}

function signed(byte: number): number {
  return byte << 24 >> 24;
}
