// Encodes interleaved RGB bytes as PNG, JPEG or WebP with libvips (npm:sharp), off the JavaScript thread.
import sharp from "sharp";
import { embedMetadata } from "./metadata/embed_metadata.ts";
import type { FileMetadata } from "./metadata/file_metadata.ts";

export type ImageFormat = "png" | "jpeg" | "webp";

export interface EncodeImageOptions {
  /** @default "png" */
  format?: ImageFormat;
  /** OpenAI's output_compression: quality of JPEG and WebP, 0..100. PNG ignores it. @default 100 */
  compression?: number;
  /** The file's record of how it was made. @default none */
  metadata?: FileMetadata | undefined;
}

/** An 8-bit RGB picture, [height, width, 3]. */
export interface RgbImage {
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
  rgb: Uint8Array;
}

/**
 * Returns the bytes of an image file: sRGB, 8 bits per channel. Equal pixels and options give equal bytes.
 */
export async function encodeRgb(
  { width, height, rgb }: RgbImage,
  options: EncodeImageOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { format = "png", compression = 100, metadata } = options;
  const picture = sharp(rgb, { raw: { width, height, channels: 3 } });
  // libvips's lowest quality is 1.
  const quality = Math.max(1, compression);
  const encoded = format === "png"
    ? picture.png({ compressionLevel: 6 })
    : format === "jpeg"
    ? picture.jpeg({ quality, chromaSubsampling: "4:4:4" })
    : picture.webp({ quality });
  const file = Uint8Array.from(await encoded.toBuffer());
  return metadata ? embedMetadata(file, { format, size: { width, height }, metadata }) : file;
}
