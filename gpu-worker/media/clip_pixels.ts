// Prepares a picture for CLIP's vision encoder, as transformers' CLIPImageProcessor does on Pillow.
import type { ImageSize } from "./decoded_image.ts";
import { type Pixels, resample } from "./resample.ts";

export interface ClipPixelsOptions {
  /** Length of the shorter side after the resize, or both sides. @default no resize */
  resize: { shortestEdge: number } | ImageSize | undefined;
  /**
   * Size of the part in the middle that is kept; zeros surround a smaller picture. @default the whole picture
   */
  crop: ImageSize | undefined;
  /** Factor on the 8-bit levels. */
  rescale: number;
  /** Subtracted from each colour after that. */
  mean: readonly number[];
  /** Each colour's divisor after that. */
  std: readonly number[];
}

/** Returns the pixels as CLIP's vision encoder takes them, [3, height, width]. */
export async function clipPixels(
  image: Pixels,
  options: ClipPixelsOptions,
): Promise<Float32Array<ArrayBuffer>> {
  const { resize, crop, rescale, mean, std } = options;
  const resized = resize === undefined
    ? image
    : await resample(image, { ...resizedSize(image, resize), filter: "bicubic" });
  const { width, height } = crop ?? resized;
  // numpy rounds the halves that are left over up.
  const top = Math.floor((resized.height - height) / 2);
  const left = Math.floor((resized.width - width) / 2);
  const area = width * height;
  const pixels = new Float32Array(3 * area);
  for (let colour = 0; colour < 3; colour++) {
    const [middle, spread] = [Math.fround(mean[colour]!), Math.fround(std[colour]!)];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const [row, column] = [y + top, x + left];
        const isInside = row >= 0 && row < resized.height && column >= 0 && column < resized.width;
        const level = isInside ? resized.data[(row * resized.width + column) * 3 + colour]! : 0;
        const value = Math.fround(Math.fround(level * rescale) - middle);
        pixels[colour * area + y * width + x] = value / spread;
      }
    }
  }
  return pixels;
}

function resizedSize(
  { width, height }: ImageSize,
  resize: NonNullable<ClipPixelsOptions["resize"]>,
): ImageSize {
  if (!("shortestEdge" in resize)) return resize;
  const short = resize.shortestEdge;
  return width <= height
    ? { width: short, height: Math.trunc(short * height / width) }
    : { width: Math.trunc(short * width / height), height: short };
}
