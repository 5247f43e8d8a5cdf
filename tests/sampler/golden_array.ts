// Reads the arrays in tests/goldens/sampler/*.json: base64 of little-endian values.

/** Float32 values. */
export function float32s(base64: string): Float32Array<ArrayBuffer> {
  return new Float32Array(Uint8Array.fromBase64(base64).buffer);
}

/** Float64 values. */
export function float64s(base64: string): Float64Array<ArrayBuffer> {
  return new Float64Array(Uint8Array.fromBase64(base64).buffer);
}

/** Bfloat16 values, widened. */
export function bfloat16s(base64: string): Float32Array<ArrayBuffer> {
  const bits = Uint32Array.from(
    new Uint16Array(Uint8Array.fromBase64(base64).buffer),
    (value) => value << 16,
  );
  return new Float32Array(bits.buffer);
}
