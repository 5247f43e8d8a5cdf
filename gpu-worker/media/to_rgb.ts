// Converts the VAE's values to 8-bit pixels like diffusers' VaeImageProcessor.denormalize and numpy_to_pil.
import type { DecodedImage } from "./decoded_image.ts";

/**
 * Converts [3, height, width] in -1..1 to interleaved RGB bytes, [height, width, 3].
 * Values outside the range are clamped.
 */
export function toRgb({ width, height, data }: DecodedImage): Uint8Array<ArrayBuffer> {
  const area = width * height;
  const rgb = new Uint8Array(area * 3);
  for (let channel = 0; channel < 3; channel++) {
    for (let i = 0; i < area; i++) {
      const unit = data[channel * area + i]! / 2 + 0.5;
      rgb[i * 3 + channel] = Math.round(Math.min(1, Math.max(0, unit)) * 255);
    }
  }
  return rgb;
}
