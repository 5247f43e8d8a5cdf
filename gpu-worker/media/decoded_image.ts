// A picture between the VAE and image files.

/** A picture as the VAE returns it: [3, height, width], float32 in -1..1 (not clamped). */
export interface DecodedImage {
  width: number;
  height: number;
  data: Float32Array;
}
