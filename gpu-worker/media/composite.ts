// Lays a drawn picture over its original where a mask says so, with the original's exact pixels.
import type { DecodedImage } from "./decoded_image.ts";

/**
 * Returns the original's values where the mask is 0, the drawn ones where it is 255, and a blend between.
 * @param mask [height, width] of both pictures
 */
export function composite(drawn: DecodedImage, original: DecodedImage, mask: Uint8Array): DecodedImage {
  const data = original.data.slice();
  const area = mask.length;
  for (let i = 0; i < data.length; i++) {
    const share = mask[i % area]! / 255;
    if (share === 0) continue;
    const value = Math.min(1, Math.max(-1, drawn.data[i]!));
    data[i] = share === 1 ? value : original.data[i]! + share * (value - original.data[i]!);
  }
  return { ...original, data };
}
