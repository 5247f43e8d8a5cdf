// The part of a picture that is drawn alone around a mask: diffusers' VaeImageProcessor.get_crop_region.
import type { DecodedMask } from "./decode_mask.ts";
import type { ImageSize } from "./decoded_image.ts";
import { ImageError } from "./image_error.ts";

/** A rectangle of pixels. */
export interface CropRegion {
  left: number;
  top: number;
  width: number;
  height: number;
}

export interface CropRegionOptions {
  /** Pixels around the masked ones. */
  padding: number;
  /** Size that the region is drawn in. */
  drawn: ImageSize;
}

/**
 * Returns the rectangle around all masked pixels and `padding` pixels more. It is widened to the proportions
 * that it is drawn in, as far as the picture goes.
 * @throws {ImageError} if the mask marks no pixel.
 */
export function cropRegion(mask: DecodedMask, { padding, drawn }: CropRegionOptions): CropRegion {
  const { width, height } = mask;
  const [left, top, right, bottom] = bounds(mask);
  let [x1, x2] = [Math.max(left - padding, 0), Math.min(right + padding, width)];
  let [y1, y2] = [Math.max(top - padding, 0), Math.min(bottom + padding, height)];
  // The order of operations is diffusers', whose sizes are truncated.
  const proportion = drawn.width / drawn.height;
  if ((x2 - x1) / (y2 - y1) > proportion) {
    [y1, y2] = widen(y1, y2, { missing: Math.trunc((x2 - x1) / proportion - (y2 - y1)), max: height });
  } else {
    [x1, x2] = widen(x1, x2, { missing: Math.trunc((y2 - y1) * proportion - (x2 - x1)), max: width });
  }
  return { left: x1, top: y1, width: x2 - x1, height: y2 - y1 };
}

/** Lengthens a stretch on both sides, within 0..max. */
function widen(
  start: number,
  end: number,
  { missing, max }: { missing: number; max: number },
): [start: number, end: number] {
  start -= Math.floor(missing / 2);
  end += missing - Math.floor(missing / 2);
  if (end >= max) [start, end] = [start - (end - max), max];
  if (start < 0) [start, end] = [0, end - start];
  return [start, Math.min(end, max)];
}

/** Returns left, top, right and bottom of the masked pixels, the latter two exclusive. */
function bounds({ width, height, data }: DecodedMask): [number, number, number, number] {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (data[y * width + x] === 0) continue;
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
      top = Math.min(top, y);
      bottom = y + 1;
    }
  }
  if (right === 0) {
    throw new ImageError("it must mark a place to draw anew: it marks none", { field: "mask" });
  }
  return [left, top, right, bottom];
}
