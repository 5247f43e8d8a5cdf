// Decodes the file of a reference in its own size, for families to resize as their pipeline class does.
import { decodeRgb } from "./decode_image.ts";
import type { ImageSize } from "./decoded_image.ts";
import type { Pixels } from "./resample.ts";

/**
 * Decodes an image to interleaved 8-bit sRGB: rotated by its EXIF orientation, and laid on white where it
 * is transparent.
 * @throws {ImageError} if the pixels are damaged.
 */
export async function decodeReference({ file }: { file?: { bytes: Uint8Array } }): Promise<Pixels> {
  if (file === undefined) throw new TypeError("Cannot look at an image whose file is absent");
  return await decodeRgb(file.bytes, "image");
}

/** Returns the middle of `pixels`, in a size that is not larger. */
export function cropCenter(pixels: Pixels, { width, height }: ImageSize): Pixels {
  if (width === pixels.width && height === pixels.height) return pixels;
  const left = Math.floor(pixels.width / 2) - Math.floor(width / 2);
  const top = Math.floor(pixels.height / 2) - Math.floor(height / 2);
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * pixels.width + left) * 3;
    data.set(pixels.data.subarray(from, from + width * 3), y * width * 3);
  }
  return { width, height, data };
}
