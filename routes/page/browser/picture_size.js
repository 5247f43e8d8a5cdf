// The size of a finished picture or video. Where a part was drawn and put back, the drawing was smaller.

/** @import { Receipt } from "./wire.d.ts" */

/**
 * Returns the size of the finished picture in pixels.
 *
 * @param {Receipt} receipt
 * @returns {{ width: number, height: number }}
 */
export function pictureSize({ width, height, options: { picture_size } }) {
  const [wide = width, high = height] = picture_size?.split("x").map(Number) ?? [];
  return { width: wide, height: high };
}
