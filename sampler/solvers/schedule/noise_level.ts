// The amounts of original and noise in a step's latents: latents = alpha * original + sigma * noise.

/** Noise level of the latents that the model saw. */
export interface NoiseLevel {
  /** Factor of the original, rounded to float32 before use. */
  alpha: number;
  /** Factor of the noise, rounded to float32 before use. */
  sigma: number;
}
