// Decodes image files for image to image: libvips (npm:sharp) decodes, and Pillow's filter resizes. Follows
// diffusers' load_image and VaeImageProcessor.preprocess, except that transparent pixels get a ground.
import sharp from "sharp";
import { OptionError } from "../../sampler/mod.ts";
import type { DecodedImage, ImageSize } from "./decoded_image.ts";
import { ImageError, type ImageFieldName } from "./image_error.ts";
import { MAX_PIXELS, notAnImage, readImageHeader } from "./image_header.ts";
import { type Pixels, resample } from "./resample.ts";

export interface DecodeImageOptions {
  /** Width to resize to, in pixels. @default the image's own, rounded down to a multiple of `multiple` */
  width?: number | undefined;
  /** Height to resize to, in pixels. @default as `width` */
  height?: number | undefined;
  /** The model's sizes are multiples of this. */
  multiple: number;
  /** Names the file in errors. @default "image" */
  field?: ImageFieldName;
}

const MAX_SIDE = 8192;
const WHITE = "#ffffff";
/**
 * The colour behind transparent pixels, where it is not white. Programs that paint masks or find edges leave
 * the rest transparent, which Pillow and AUTOMATIC1111 read as black: keep, and nothing to follow.
 */
const GROUNDS: Partial<Record<ImageFieldName, string>> = { mask: "#000000", control_image: "#000000" };

/**
 * Decodes an image: rotated by its EXIF orientation, in sRGB, laid on its field's ground where it
 * is transparent, and resized (Lanczos).
 * @returns [3, height, width], float32 in -1..1
 * @throws {ImageError} if the bytes are no image, one of another format, an animation, or one of
 * more than 64 megapixels.
 * @throws {OptionError} if no model makes the size.
 */
export async function decodeImage(
  bytes: Uint8Array,
  options: DecodeImageOptions,
): Promise<DecodedImage> {
  const { field = "image" } = options;
  const { width, height } = await readImageSize(bytes, options);
  const pixels = await resample(await decodeRgb(bytes, field), { width, height, filter: "lanczos" });
  return { width, height, data: toPlanes(pixels.data) };
}

/**
 * Returns the size that `decodeImage` would give the image. Reads only the header.
 * @throws {ImageError | OptionError} as `decodeImage`, but not for damaged pixels.
 */
export async function readImageSize(bytes: Uint8Array, options: DecodeImageOptions): Promise<ImageSize> {
  return resizedTo(await readImageHeader(bytes, options.field ?? "image"), options);
}

/**
 * Returns the size that an image is resized to.
 * @param own the image's size, rotated by its EXIF orientation
 * @throws {ImageError} if the image is smaller than the model's smallest picture and
 * the request names no size.
 * @throws {OptionError} if no model makes that size.
 */
export function resizedTo(
  own: ImageSize,
  { multiple, field = "image", ...wanted }: DecodeImageOptions,
): ImageSize {
  const isTiny = (wanted.width ?? own.width) < multiple || (wanted.height ?? own.height) < multiple;
  if (isTiny && (wanted.width === undefined || wanted.height === undefined)) {
    throw new ImageError(
      `it must have at least ${multiple}x${multiple} pixels: it is ${own.width}x${own.height}. ` +
        "Try a size to enlarge it to",
      { field },
    );
  }
  const width = wanted.width ?? floorTo(own.width, multiple);
  const height = wanted.height ?? floorTo(own.height, multiple);
  assertSide("width", width);
  assertSide("height", height);
  return { width, height };
}

/**
 * Decodes an image to interleaved 8-bit sRGB, rotated by its EXIF orientation and laid on the field's ground
 * where it is transparent. Read its header first, which bounds its pixels.
 * @throws {ImageError} if the pixels are damaged.
 */
export async function decodeRgb(bytes: Uint8Array, field: ImageFieldName): Promise<Pixels> {
  const { data, info: { width, height } } = await sharp(bytes, { limitInputPixels: MAX_PIXELS })
    .autoOrient()
    .toColourspace("srgb")
    .flatten({ background: GROUNDS[field] ?? WHITE })
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true })
    .catch((cause) => {
      throw notAnImage(field, cause);
    });
  return { width, height, data };
}

function assertSide(name: string, value: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= MAX_SIDE) return;
  throw new OptionError({
    action: "resize the image",
    option: name,
    problem: `must be a whole number in 1..${MAX_SIDE}: current value is ${value}`,
  });
}

/** Rounds down to a multiple. */
function floorTo(size: number, multiple: number): number {
  return Math.floor(size / multiple) * multiple;
}

/** Converts interleaved bytes to planes in -1..1: diffusers' normalize, with torch's rounding. */
export function toPlanes(pixels: Uint8Array, channels = 3): Float32Array<ArrayBuffer> {
  const area = pixels.length / channels;
  const planes = new Float32Array(pixels.length);
  for (let channel = 0; channel < channels; channel++) {
    for (let i = 0; i < area; i++) {
      planes[channel * area + i] = 2 * Math.fround(pixels[i * channels + channel]! / 255) - 1;
    }
  }
  return planes;
}
