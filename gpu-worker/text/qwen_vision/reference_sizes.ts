// The sizes that Qwen-Image's pipelines give to references and to the picture (calculate_dimensions).
import { roundHalfEven } from "../../../sampler/numerics/round_half_even.ts";
import type { ImageSize } from "../../media/decoded_image.ts";
import { isTooLong } from "./image_processor.ts";

const MULTIPLE = 32;

/** Returns a size of about `area` pixels in the proportions of an image, in multiples of 32. */
export function sizeOfArea({ width, height }: ImageSize, area: number): ImageSize {
  const ratio = width / height;
  const wide = Math.sqrt(area * ratio);
  const near = (side: number) => roundHalfEven(side / MULTIPLE) * MULTIPLE;
  return { width: near(wide), height: near(wide / ratio) };
}

/**
 * Returns the rule that an image's proportions break. In each of the areas both sides must keep a pixel, and
 * the vision tower must take the proportions.
 */
export function brokenProportions(image: ImageSize, ...areas: readonly number[]): string | undefined {
  const sizes = [image, ...areas.map((area) => sizeOfArea(image, area))];
  const isBroken = sizes.some((size) => size.width === 0 || size.height === 0 || isTooLong(size));
  return isBroken ? "must have sides whose ratio is at most 200" : undefined;
}
