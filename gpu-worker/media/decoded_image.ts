// A picture between the VAE and image files.

/** A picture's size in pixels. */
export interface ImageSize {
  width: number;
  height: number;
}

/**
 * A picture as the VAE returns it: [3, height, width], float32 in -1..1 (not clamped). A VAE that sees
 * opacity takes it as a fourth plane.
 */
export interface DecodedImage extends ImageSize {
  data: Float32Array;
}
