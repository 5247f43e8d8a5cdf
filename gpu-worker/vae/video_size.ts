/** Size of a clip's latents as the autoencoder has them, [channels, frames, height, width]. */
export interface ClipSize {
  channels: number;
  frames: number;
  height: number;
  width: number;
}
