// The sizes that Qwen-Image's editing pipelines give to references and to the picture (calculate_dimensions).
import { roundHalfEven } from "../../../sampler/numerics/round_half_even.ts";
import type { ImageSize } from "../../media/decoded_image.ts";

const MULTIPLE = 32;

/** Returns a size of about `area` pixels in the proportions of an image, in multiples of 32. */
export function sizeOfArea({ width, height }: ImageSize, area: number): ImageSize {
  const ratio = width / height;
  const wide = Math.sqrt(area * ratio);
  const near = (side: number) => roundHalfEven(side / MULTIPLE) * MULTIPLE;
  return { width: near(wide), height: near(wide / ratio) };
}
