// Cuts a part out of a picture in the size to draw it in, and puts the drawn part back. Source: diffusers'
// VaeImageProcessor, resize modes "fill" and "crop", and its apply_overlay.
import type { CropRegion } from "./crop_region.ts";
import { toPlanes } from "./decode_image.ts";
import type { DecodedMask } from "./decode_mask.ts";
import { cropCenter } from "./decode_reference.ts";
import type { DecodedImage, ImageSize } from "./decoded_image.ts";
import { overlayOriginal } from "./overlay_original.ts";
import { type Pixels, resample } from "./resample.ts";
import { toRgb } from "./to_rgb.ts";

/** A picture and its mask, of one size. */
export interface MaskedPicture {
  image: DecodedImage;
  mask: DecodedMask;
}

export interface CutOutOptions {
  region: CropRegion;
  /** Size of the result. */
  drawn: ImageSize;
}

/**
 * Returns a part of a picture and of its mask, resized to the size that it is drawn in. The part keeps its
 * proportions: pixels made of its edges fill what is left.
 */
export async function cutOut(
  { image, mask }: MaskedPicture,
  { region, drawn: { width, height } }: CutOutOptions,
): Promise<MaskedPicture> {
  const fill = async (pixels: Pixels) => (await filled(cropped(pixels, region), { width, height })).data;
  const [rgb, grey] = await Promise.all([fill({ ...image, data: toRgb(image) }), fill(mask)]);
  return { image: { width, height, data: toPlanes(rgb) }, mask: { width, height, data: grey } };
}

/** Returns `picture` with `drawn`, resized to the region, in the region's place as far as the mask says. */
export async function putBack(
  { image, mask }: MaskedPicture,
  { drawn, region }: { drawn: DecodedImage; region: CropRegion },
): Promise<DecodedImage> {
  const { width, height } = image;
  const isWide = region.width / region.height > drawn.width / drawn.height;
  const resized = await resample({ ...drawn, data: toRgb(drawn) }, {
    width: isWide ? region.width : Math.floor(drawn.width * region.height / drawn.height),
    height: isWide ? Math.floor(drawn.height * region.width / drawn.width) : region.height,
    filter: "lanczos",
  });
  const part = cropCenter(resized, region).data;
  const original = toRgb(image);
  // Outside the region the mask keeps everything.
  const whole = original.slice();
  const stride = region.width * 3;
  for (let y = 0; y < region.height; y++) {
    const row = part.subarray(y * stride, (y + 1) * stride);
    whole.set(row, ((region.top + y) * width + region.left) * 3);
  }
  return { width, height, data: toPlanes(overlayOriginal(whole, { original, mask: mask.data })) };
}

function cropped({ width, height, data }: Pixels, region: CropRegion): Pixels {
  const channels = data.length / (width * height);
  const stride = region.width * channels;
  const part = new Uint8Array(region.height * stride);
  for (let y = 0; y < region.height; y++) {
    const from = ((region.top + y) * width + region.left) * channels;
    part.set(data.subarray(from, from + stride), y * stride);
  }
  return { width: region.width, height: region.height, data: part };
}

/** Resizes `part` into width x height in its own proportions, and fills the rest from its edges. */
async function filled(part: Pixels, { width, height }: ImageSize): Promise<Pixels> {
  const isWide = width / height < part.width / part.height;
  const inner = await resample(part, {
    width: isWide ? width : Math.floor(part.width * height / part.height),
    height: isWide ? Math.floor(part.height * width / part.width) : height,
    filter: "lanczos",
  });
  const left = Math.floor(width / 2) - Math.floor(inner.width / 2);
  const top = Math.floor(height / 2) - Math.floor(inner.height / 2);
  const channels = inner.data.length / (inner.width * inner.height);
  const data = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    const rows = edge(y - top, inner.height);
    for (let x = 0; x < width; x++) {
      const columns = edge(x - left, inner.width);
      for (let channel = 0; channel < channels; channel++) {
        const at = (row: number, column: number) =>
          inner.data[(row * inner.width + column) * channels + channel]!;
        const [own, next] = [at(rows.at, columns.at), at(rows.next, columns.next)];
        data[(y * width + x) * channels + channel] = extended(own, next);
      }
    }
  }
  return { width, height, data };
}

/** The pixel in the place `at`, or beside the picture the one at its edge and that one's neighbour. */
function edge(at: number, length: number): { at: number; next: number } {
  if (at < 0) return { at: 0, next: Math.min(1, length - 1) };
  if (at >= length) return { at: length - 1, next: Math.max(0, length - 2) };
  return { at, next: at };
}

/**
 * Pillow's bicubic filter beside the edge: diffusers resizes an empty box there, so that the filter sees the
 * edge's two last pixels.
 */
function extended(own: number, next: number): number {
  return Math.min(255, Math.max(0, Math.floor((9 * own - next) / 8 + 0.5)));
}
