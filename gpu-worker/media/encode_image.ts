// Encodes a decoded picture as PNG, JPEG or WebP.
import type { DecodedImage } from "./decoded_image.ts";
import { type EncodeImageOptions, encodeRgb } from "./encode_rgb.ts";
import { toRgb } from "./to_rgb.ts";

export type { ImageFormat } from "./encode_rgb.ts";

/**
 * Returns the bytes of an image file: sRGB, 8 bits per channel. Equal pixels and options give equal bytes.
 */
export function encodeImage(
  image: DecodedImage,
  options: EncodeImageOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { width, height } = image;
  return encodeRgb({ width, height, rgb: toRgb(image) }, options);
}
