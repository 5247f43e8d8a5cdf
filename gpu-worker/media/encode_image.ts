// Encodes a decoded picture as PNG, JPEG or WebP with libvips (npm:sharp), off the JavaScript thread.
import type { DecodedImage } from "./decoded_image.ts";
import sharp from "sharp";
import { toRgb } from "./to_rgb.ts";

export type ImageFormat = "png" | "jpeg" | "webp";

export interface EncodeImageOptions {
  /** @default "png" */
  format?: ImageFormat;
  /** OpenAI's output_compression for JPEG and WebP: their quality, 0..100. PNG is lossless whatever it says. @default 100 */
  compression?: number;
}

/** @returns the bytes of an image file, sRGB, 8 bits a channel. The same pixels and options give the same bytes. */
export async function encodeImage(
  image: DecodedImage,
  options: EncodeImageOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { format = "png", compression = 100 } = options;
  const { width, height } = image;
  const picture = sharp(toRgb(image), { raw: { width, height, channels: 3 } });
  // libvips accepts qualities from 1.
  const quality = Math.max(1, compression);
  const encoded = format === "png"
    ? picture.png({ compressionLevel: 6 })
    : format === "jpeg"
    ? picture.jpeg({ quality, chromaSubsampling: "4:4:4" })
    : picture.webp({ quality });
  return Uint8Array.from(await encoded.toBuffer());
}
