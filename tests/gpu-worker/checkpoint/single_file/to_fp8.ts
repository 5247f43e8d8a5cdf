// Rewrites tensors of 32 and 16 bits as fp8, and back.
import { numberTable } from "../../../../gpu-worker/checkpoint/blocks/number_tables.ts";
import type { FileTensor } from "./twin.ts";

const VALUES = numberTable("float8_e4m3fn");
/** Bit patterns of all numbers, the smallest first. */
const ORDERED = Array.from(VALUES, (value, bits) => ({ value, bits }))
  .filter(({ value, bits }) => !Number.isNaN(value) && bits !== 0x80)
  .sort((a, b) => a.value - b.value);

/** Turns every tensor of floats into E4M3 numbers. */
export function toFp8(tensors: Map<string, FileTensor>): void {
  change(tensors, (floats) => ({ dtype: "F8_E4M3", data: Uint8Array.from(floats, nearest) }));
}

/** Turns every tensor of floats into float32 that holds the numbers that `toFp8` gives. */
export function asFp8(tensors: Map<string, FileTensor>): void {
  change(tensors, (floats) => {
    const rounded = floats.map((value) => VALUES[nearest(value)]!);
    return { dtype: "F32", data: new Uint8Array(rounded.buffer) };
  });
}

function change(
  tensors: Map<string, FileTensor>,
  rewrite: (floats: Float32Array<ArrayBuffer>) => Pick<FileTensor, "dtype" | "data">,
): void {
  for (const [name, { dtype, shape, data }] of tensors) {
    const floats = toFloats(dtype, data.slice().buffer);
    if (floats !== undefined) tensors.set(name, { shape, ...rewrite(floats) });
  }
}

function toFloats(dtype: string, buffer: ArrayBuffer): Float32Array<ArrayBuffer> | undefined {
  switch (dtype) {
    case "F32":
      return new Float32Array(buffer);
    case "F16":
      return Float32Array.from(new Float16Array(buffer));
    case "BF16": {
      const table = numberTable("bfloat16");
      return Float32Array.from(new Uint16Array(buffer), (bits) => table[bits]!);
    }
    default:
      return undefined;
  }
}

/** The bit pattern of the nearest number. */
function nearest(value: number): number {
  let [low, high] = [0, ORDERED.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (ORDERED[middle]!.value <= value) low = middle;
    else high = middle;
  }
  const isLow = value - ORDERED[low]!.value <= ORDERED[high]!.value - value;
  return ORDERED[isLow ? low : high]!.bits;
}

/** Turns every matrix of weights into E4M3 numbers with a scale for each row, as torchao does. */
export function toFp8Rows(tensors: Map<string, FileTensor>): void {
  changeRows(tensors, (name, { shape, data, scales }) => {
    tensors.set(name, { dtype: "F8_E4M3", shape, data });
    const bytes = new Uint8Array(scales.buffer);
    tensors.set(name.replace(/weight$/, "weight_scale"), {
      dtype: "F32",
      shape: [shape[0]!, 1],
      data: bytes,
    });
  });
}

/** Turns every matrix of weights into float32 that holds the numbers that `toFp8Rows` gives. */
export function asFp8Rows(tensors: Map<string, FileTensor>): void {
  changeRows(tensors, (name, { shape, data, scales }) => {
    const columns = shape[1]!;
    const values = Float32Array.from(data, (bits, i) => VALUES[bits]! * scales[Math.floor(i / columns)]!);
    tensors.set(name, { dtype: "F32", shape, data: new Uint8Array(values.buffer) });
  });
}

interface Fp8Rows {
  shape: readonly number[];
  data: Uint8Array;
  scales: Float32Array<ArrayBuffer>;
}

const LARGEST = 448;

function changeRows(
  tensors: Map<string, FileTensor>,
  rewrite: (name: string, rows: Fp8Rows) => void,
): void {
  for (const [name, { dtype, shape, data: stored }] of [...tensors]) {
    const [rows = 0, columns = 0] = shape;
    if (shape.length !== 2 || !name.endsWith(".weight")) continue;
    const floats = toFloats(dtype, stored.slice().buffer);
    if (floats === undefined) continue;
    const scales = Float32Array.from({ length: rows }, (_, row) => {
      const largest = Math.max(...floats.subarray(row * columns, (row + 1) * columns).map(Math.abs));
      return largest / LARGEST || 1;
    });
    const data = Uint8Array.from(floats, (value, i) => nearest(value / scales[Math.floor(i / columns)]!));
    rewrite(name, { shape, data, scales });
  }
}
