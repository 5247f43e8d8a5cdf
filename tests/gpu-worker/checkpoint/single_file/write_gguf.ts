// Writes tensors as a GGUF file, as people convert single files: the same names, with
// dimensions in reverse order.
import type { FileTensor } from "./twin.ts";

/** GGML's number of each type. */
const TYPES: Record<string, number> = {
  ...{ F32: 0, F16: 1, BF16: 30, I64: 27 },
  ...{ Q2_K: 10, Q3_K: 11, Q4_K: 12, Q5_K: 13, Q6_K: 14 },
};
const ALIGNMENT = 32;
const MOST_DIMS = 4;

/**
 * Writes `tensors`. GGUF has four dimensions at most, so a tensor of more is flattened and its
 * shape written beside it.
 */
export function writeGguf(path: string, tensors: ReadonlyMap<string, FileTensor>): void {
  const deep = [...tensors].filter(([, { shape }]) => shape.length > MOST_DIMS);
  let end = 0;
  const entries = [...tensors].map(([name, { dtype, shape, data }]) => {
    const offset = end;
    end += Math.ceil(data.length / ALIGNMENT) * ALIGNMENT;
    const dims = shape.length > MOST_DIMS
      ? [shape.reduce((product, n) => product * n, 1)]
      : shape.toReversed();
    return [...text(name), ...u32(dims.length), ...dims.flatMap(u64), ...u32(TYPES[dtype]!), ...u64(offset)];
  });
  const fields = deep.map(([name, { shape }]) => [
    ...text(`comfy.gguf.orig_shape.${name}`),
    // An array of int32.
    ...[...u32(9), ...u32(5), ...u64(shape.length), ...shape.flatMap(u32)],
  ]);
  const header = [
    ...new TextEncoder().encode("GGUF"),
    ...[...u32(3), ...u64(tensors.size), ...u64(fields.length), ...fields.flat(), ...entries.flat()],
  ];
  const start = Math.ceil(header.length / ALIGNMENT) * ALIGNMENT;
  const bytes = new Uint8Array(start + end);
  bytes.set(header);
  let at = start;
  for (const { data } of tensors.values()) {
    bytes.set(data, at);
    at += Math.ceil(data.length / ALIGNMENT) * ALIGNMENT;
  }
  Deno.writeFileSync(path, bytes);
}

function u32(value: number): number[] {
  return [...new Uint8Array(Uint32Array.of(value).buffer)];
}

function u64(value: number): number[] {
  return [...new Uint8Array(BigUint64Array.of(BigInt(value)).buffer)];
}

function text(value: string): number[] {
  const bytes = new TextEncoder().encode(value);
  return [...u64(bytes.length), ...bytes];
}
