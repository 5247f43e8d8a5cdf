// bfloat16 as PyTorch rounds it: the upper half of a float32, to nearest, ties to even.

/** Rounds numbers to bfloat16 and returns the bits of each value. NaN stays NaN. */
export function toBfloat16(values: ArrayLike<number>): Uint16Array<ArrayBuffer> {
  const floats = Float32Array.from(values);
  const bits = new Uint32Array(floats.buffer);
  const result = new Uint16Array(floats.length);
  for (let i = 0; i < floats.length; i++) {
    const word = bits[i]!;
    const rounded = (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
    result[i] = Number.isNaN(floats[i]!) ? 0x7fc0 : rounded;
  }
  return result;
}

/** Widens bfloat16 to float32 exactly. */
export function fromBfloat16(bits: ArrayLike<number>): Float32Array<ArrayBuffer> {
  const words = Uint32Array.from(bits, (half) => half << 16);
  return new Float32Array(words.buffer);
}
