// Decodes the image of a video's first or last frame: the pixels for the autoencoder, and those for a vision
// encoder.
import { clipPixels, type ClipPixelsOptions } from "./clip_pixels.ts";
import { decodeRgb, toPlanes } from "./decode_image.ts";
import type { DecodedImage, ImageSize } from "./decoded_image.ts";
import type { ImageFieldName } from "./image_error.ts";
import { readImageHeader } from "./image_header.ts";
import { type Pixels, resample } from "./resample.ts";

export interface DecodeFrameOptions extends ImageSize {
  /** Names the file in errors. */
  field: ImageFieldName;
  /** How a vision encoder takes the image. @default none looks at it */
  vision?: ClipPixelsOptions | undefined;
}

/** A frame in the video's size, and as a vision encoder sees its image. */
export interface DecodedFrame extends DecodedImage {
  vision?: Float32Array<ArrayBuffer>;
}

/**
 * Decodes an image for a vision encoder alone.
 * @throws {ImageError} as `decodeFrame`.
 */
export async function decodeForVision(
  bytes: Uint8Array,
  { field, vision }: { field: ImageFieldName; vision: ClipPixelsOptions },
): Promise<Float32Array<ArrayBuffer>> {
  return await clipPixels(await decodeWhole(bytes, field), vision);
}

/**
 * Decodes an image as diffusers' VideoProcessor and CLIPImageProcessor see it: the former resizes it to the
 * video's size whatever its proportions (Lanczos), the latter takes it as it is.
 * @throws {ImageError} if the bytes are no image, one of another format, an animation, or one of more than 64
 * megapixels.
 */
export async function decodeFrame(
  bytes: Uint8Array,
  { width, height, field, vision }: DecodeFrameOptions,
): Promise<DecodedFrame> {
  const image = await decodeWhole(bytes, field);
  const frame = await resample(image, { width, height, filter: "lanczos" });
  return {
    width,
    height,
    data: toPlanes(frame.data),
    ...vision && { vision: await clipPixels(image, vision) },
  };
}

/** Decodes an image in its own size. */
async function decodeWhole(bytes: Uint8Array, field: ImageFieldName): Promise<Pixels> {
  await readImageHeader(bytes, field);
  return await decodeRgb(bytes, field);
}
