// Decodes image files for image to image with libvips (npm:sharp), off the JavaScript thread. Follows
// diffusers' load_image and VaeImageProcessor.preprocess.
import sharp, { type Metadata } from "sharp";
import { OptionError } from "../../sampler/mod.ts";
import type { DecodedImage } from "./decoded_image.ts";
import { ImageError } from "./image_error.ts";

export interface DecodeImageOptions {
  /** Width to resize to, in pixels. @default the image's own, rounded down to a multiple of `multiple` */
  width?: number | undefined;
  /** Height to resize to, in pixels. @default as `width` */
  height?: number | undefined;
  /** The model's sizes are multiples of this. */
  multiple: number;
}

/** The formats that libvips decodes with its own code only. SVG and PDF could refer to other files. */
const FORMATS = ["jpeg", "png", "webp", "gif", "tiff", "heif"];
/** 64 megapixels. A decompression bomb of a few kilobytes can claim more than any camera produces. */
const MAX_PIXELS = 2 ** 26;
const MAX_SIDE = 8192;

/**
 * Decodes an image: rotated by its EXIF orientation, without alpha channel, and resized (Lanczos).
 * @returns [3, height, width], float32 in -1..1
 * @throws {ImageError} if the bytes are no image, one of another format, or one of more than 64 megapixels.
 * @throws {OptionError} if no model makes the size.
 */
export async function decodeImage(
  bytes: Uint8Array,
  options: DecodeImageOptions,
): Promise<DecodedImage> {
  const size = await readImageSize(bytes, options);
  return { ...size, data: toPlanes(await decode(bytes, size)) };
}

/**
 * Returns the size that `decodeImage` would give the image. Reads only the header.
 * @throws {ImageError | OptionError} as `decodeImage`, but not for damaged pixels.
 */
export async function readImageSize(
  bytes: Uint8Array,
  options: DecodeImageOptions,
): Promise<{ width: number; height: number }> {
  if (bytes.length === 0) refuse();
  const { autoOrient } = await readMetadata(bytes);
  return resizedTo(autoOrient, options);
}

/**
 * Returns the size that an image is resized to.
 * @param own the image's size, rotated by its EXIF orientation
 * @throws {OptionError} if no model makes that size.
 */
export function resizedTo(
  own: { width: number; height: number },
  { multiple, ...wanted }: DecodeImageOptions,
): { width: number; height: number } {
  const width = wanted.width ?? floorTo(own.width, multiple);
  const height = wanted.height ?? floorTo(own.height, multiple);
  assertSide("width", width);
  assertSide("height", height);
  return { width, height };
}

function assertSide(name: string, value: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= MAX_SIDE) return;
  throw new OptionError({
    action: "resize the image",
    option: name,
    problem: `must be a whole number in 1..${MAX_SIDE}: current value is ${value}`,
  });
}

async function readMetadata(bytes: Uint8Array): Promise<Metadata> {
  const metadata = await sharp(bytes, { limitInputPixels: false }).metadata().catch(refuse);
  if (!FORMATS.includes(metadata.format)) {
    throw new ImageError(`${metadata.format} is not one of ${FORMATS.join(", ")}`);
  }
  const { width, height } = metadata;
  if (width * height > MAX_PIXELS) {
    throw new ImageError(`it must have at most ${MAX_PIXELS} pixels: it is ${width}x${height}`);
  }
  return metadata;
}

/** Interleaved RGB bytes. */
async function decode(
  bytes: Uint8Array,
  size: { width: number; height: number },
): Promise<Uint8Array> {
  const picture = sharp(bytes, { limitInputPixels: MAX_PIXELS }).autoOrient();
  return await picture
    .resize({ ...size, fit: "fill" })
    .toColourspace("srgb")
    .removeAlpha()
    .raw({ depth: "uchar" })
    .toBuffer()
    .catch(refuse);
}

function refuse(cause?: unknown): never {
  throw new ImageError("it is no image, or a damaged one", { cause });
}

/** Rounds down to a multiple. Images smaller than the multiple are enlarged to it. */
function floorTo(size: number, multiple: number): number {
  return Math.max(multiple, Math.floor(size / multiple) * multiple);
}

/** Computes diffusers' normalize with torch's rounding. */
function toPlanes(rgb: Uint8Array): Float32Array<ArrayBuffer> {
  const area = rgb.length / 3;
  const planes = new Float32Array(rgb.length);
  for (let channel = 0; channel < 3; channel++) {
    for (let i = 0; i < area; i++) {
      planes[channel * area + i] = 2 * Math.fround(rgb[i * 3 + channel]! / 255) - 1;
    }
  }
  return planes;
}
