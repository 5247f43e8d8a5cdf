// The factor between latents at a sigma and what the network was trained to see.

/** sqrt(sigma^2 + 1) in float32: the standard deviation of an original of variance 1 with noise. */
export function inputScale(sigma: number): number {
  return f32(Math.sqrt(f32(f32(sigma * sigma) + 1)));
}

const f32 = Math.fround;
