// How much original and how much noise a step's latents hold: latents = alpha * original + sigma * noise.

/** The step at which the model ran. */
export interface NoiseLevel {
  /** Factor of the original, rounded to float32 before use. */
  alpha: number;
  /** Factor of the noise, rounded to float32 before use. */
  sigma: number;
}
