/** How many pixels and frames a latent stands for. */
export interface LatentScale {
  channels: number;
  /** Pixels of a latent pixel's side. */
  spatial: number;
  /** Frames of each frame of latents but the first, which stands for one. @default 1 */
  temporal?: number;
}
