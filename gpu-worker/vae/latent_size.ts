/** Size of one picture's latents as the autoencoder uses them, [channels, height, width]. */
export interface LatentSize {
  channels: number;
  height: number;
  width: number;
}
