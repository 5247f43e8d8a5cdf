/** The number of pixels and frames that one latent stands for. */
export interface LatentScale {
  channels: number;
  /** Pixels along the side of a latent pixel. */
  spatial: number;
  /** Frames per latent frame, except the first, which stands for one frame. @default 1 */
  temporal?: number;
  /** Latent frames before those of the video, which are computed and not shown. @default 0 */
  lead?: number;
}
