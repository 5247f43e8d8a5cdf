// Pixels with opacity as Pillow handles them (mode RGBA), for models that see how opaque an image is.
import sharp from "sharp";
import { letOthersRun } from "../../protocol/process/let_others_run.ts";
import type { ImageSize } from "./decoded_image.ts";
import { MAX_PIXELS, notAnImage } from "./image_header.ts";
import { type Pixels, resample, type ResampleFilter } from "./resample.ts";

/** Red, green, blue and opacity. */
const CHANNELS = 4;
const OPAQUE = 255;
/** Bytes between two pauses, in which other work of the process goes on: a few milliseconds. */
const BYTES_AT_ONCE = 2 ** 20;

/**
 * Decodes an image to interleaved 8-bit sRGB with opacity, rotated by its EXIF orientation.
 * @param image its size after the rotation, and its file
 * @throws {ImageError} if the pixels are damaged.
 */
export async function decodeTransparent(
  { width, height, file }: ImageSize & { file?: { bytes: Uint8Array } },
): Promise<Pixels> {
  if (file === undefined) throw new TypeError("Cannot look at an image whose file is absent");
  const data = await sharp(file.bytes, { limitInputPixels: MAX_PIXELS })
    .autoOrient()
    .toColourspace("srgb")
    .ensureAlpha()
    .raw({ depth: "uchar" })
    .toBuffer()
    .catch((cause) => {
      throw notAnImage("image", cause);
    });
  return { width, height, data };
}

/** Returns `pixels` in another size. Colours count as much as they are opaque. */
export async function resampleTransparent(
  pixels: Pixels,
  options: ImageSize & { filter: ResampleFilter },
): Promise<Pixels> {
  if (options.width === pixels.width && options.height === pixels.height) return pixels;
  const weighted = await mapColours(pixels, (colour, opacity) => divideBy255(colour * opacity));
  return await mapColours(
    await resample(weighted, options),
    (colour, opacity) => opacity === 0 ? colour : Math.min(255, Math.trunc(255 * colour / opacity)),
  );
}

/** Returns the colours of `pixels` on a white ground. */
export function layOnWhite({ width, height, data }: Pixels): Pixels {
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += CHANNELS) {
    const opacity = data[from + 3]!;
    for (let i = 0; i < 3; i++) {
      rgb[to++] = divideBy255(255 * (OPAQUE - opacity) + data[from + i]! * opacity);
    }
  }
  return { width, height, data: rgb };
}

async function mapColours(
  { data, ...size }: Pixels,
  map: (colour: number, opacity: number) => number,
): Promise<Pixels> {
  const mapped = new Uint8Array(data.length);
  for (let at = 0; at < data.length; at += CHANNELS) {
    if (at > 0 && at % BYTES_AT_ONCE === 0) await letOthersRun();
    const opacity = data[at + 3]!;
    for (let i = at; i < at + 3; i++) mapped[i] = opacity === OPAQUE ? data[i]! : map(data[i]!, opacity);
    mapped[at + 3] = opacity;
  }
  return { ...size, data: mapped };
}

/** Pillow's rounded division of a product of two bytes. */
function divideBy255(product: number): number {
  const shifted = product + 128;
  return ((shifted >> 8) + shifted) >> 8;
}
