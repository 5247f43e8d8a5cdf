import type { ImageSize } from "./decoded_image.ts";

/** Returns the largest size within `size` whose sides are multiples of `multiple` pixels. */
export function floorSize({ width, height }: ImageSize, multiple: number): ImageSize {
  const floor = (side: number) => Math.floor(side / multiple) * multiple;
  return { width: floor(width), height: floor(height) };
}
