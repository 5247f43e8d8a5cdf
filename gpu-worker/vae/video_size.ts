/** Size of a video's latents as the autoencoder has them, [channels, frames, height, width]. */
export interface VideoSize {
  channels: number;
  frames: number;
  height: number;
  width: number;
}
