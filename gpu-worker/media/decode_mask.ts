// Decodes the file of a mask, which marks the places of an image to draw anew.
import sharp from "sharp";
import type { MaskMode } from "../../protocol/wire/generation_fields.ts";
import { decodeRgb } from "./decode_image.ts";
import type { ImageSize } from "./decoded_image.ts";
import { ImageError } from "./image_error.ts";
import { MAX_PIXELS, notAnImage, readImageHeader } from "./image_header.ts";
import { type Pixels, resample } from "./resample.ts";

/**
 * A mask's pixels, [height, width]: 0 keeps the image's pixel, 255 draws it anew, values between blend both.
 */
export interface DecodedMask extends ImageSize {
  data: Uint8Array;
}

export interface DecodeMaskOptions {
  /** Size to resize to, in pixels: that of the picture to make. */
  width: number;
  height: number;
  /** How the file marks the places to draw anew. */
  mode: MaskMode;
}

/**
 * Decodes a mask, rotated by its EXIF orientation and resized as diffusers' VaeImageProcessor does.
 * @throws {ImageError} if the bytes are no image, or an image without transparency in mode alpha.
 */
export async function decodeMask(
  bytes: Uint8Array,
  { mode, width, height }: DecodeMaskOptions,
): Promise<DecodedMask> {
  const { hasAlpha } = await readImageHeader(bytes, "mask");
  const resized = async (pixels: Pixels) =>
    (await resample(pixels, { width, height, filter: "lanczos" })).data;
  if (mode !== "alpha") {
    const white = toGrey(await resized(await decodeRgb(bytes, "mask")));
    return { width, height, data: mode === "white" ? white : white.map((value) => 255 - value) };
  }
  if (!hasAlpha) {
    throw new ImageError(
      "it must have an alpha channel in mask mode alpha: it has none. Try mask mode white",
      {
        field: "mask",
      },
    );
  }
  const { data, info } = await sharp(bytes, { limitInputPixels: MAX_PIXELS })
    .autoOrient()
    .extractChannel("alpha")
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true })
    .catch((cause) => {
      throw notAnImage("mask", cause);
    });
  const opacity = await resized({ width: info.width, height: info.height, data });
  return { width, height, data: opacity.map((value) => 255 - value) };
}

/** Returns the size of a mask's file. Reads only the header. @throws {ImageError} as `decodeMask` */
export async function readMaskSize(bytes: Uint8Array): Promise<ImageSize> {
  const { width, height } = await readImageHeader(bytes, "mask");
  return { width, height };
}

/**
 * Checks that a mask has the shape of its image, up to the rounding of a resize.
 * @throws {ImageError} if it has another.
 */
export function assertSameShape(mask: ImageSize, image: ImageSize): void {
  const off = Math.abs(mask.width * image.height - mask.height * image.width);
  if (off <= Math.max(mask.width, mask.height, image.width, image.height)) return;
  throw new ImageError(
    `it must have the image's proportions, ${image.width}x${image.height}: ` +
      `it is ${mask.width}x${mask.height}`,
    { field: "mask" },
  );
}

/** Converts RGB to grey as Pillow's convert("L") does. */
function toGrey(rgb: Uint8Array): Uint8Array {
  const grey = new Uint8Array(rgb.length / 3);
  for (let i = 0; i < grey.length; i++) {
    const [r, g, b] = [rgb[3 * i]!, rgb[3 * i + 1]!, rgb[3 * i + 2]!];
    grey[i] = (19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16;
  }
  return grey;
}
