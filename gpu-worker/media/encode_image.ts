// Encodes a decoded picture as PNG, JPEG or WebP.
import type { DecodedImage } from "./decoded_image.ts";
import { type EncodeImageOptions, encodeRgb } from "./encode_rgb.ts";
import { toRgb } from "./to_rgb.ts";

export type { EncodeImageOptions, ImageFormat } from "./encode_rgb.ts";

/** @returns the bytes of an image file, sRGB, 8 bits a channel. The same pixels and options give the same bytes. */
export function encodeImage(
  image: DecodedImage,
  options: EncodeImageOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { width, height } = image;
  return encodeRgb({ width, height, rgb: toRgb(image) }, options);
}
