// Classifier-free guidance: https://arxiv.org/abs/2207.12598.

/** Factors of the outputs for prompt and negative prompt: negative + scale * (prompt - negative). */
export function guidanceFactors(branches: number, scale: number): readonly number[] {
  return branches === 1 ? [1] : [scale, 1 - scale];
}

/** Rows (prompt, negative prompt), [2, n] -> negative + scale * (prompt - negative), [n], as diffusers computes it. */
export function guideBranches(output: Float32Array, scale: number): Float32Array<ArrayBuffer> {
  const length = output.length / 2;
  const guided = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const negative = output[length + i]!;
    guided[i] = negative + scale * (output[i]! - negative);
  }
  return guided;
}
