// The sizes that a checkpoint was made for. It computes others as well, but draws doubled or
// unfinished things in them.
import type { ModelDescription } from "./model_description.ts";

export interface NativeSizes {
  /** The default width, in pixels: the one that the checkpoint was trained with. */
  width: number;
  /** The default height, in pixels. */
  height: number;
  /** Shortest side in pixels. */
  smallestSide: number;
  /** Longest side in pixels. */
  largestSide: number;
  /** Largest width * height. */
  largestPixels: number;
}

/** Most models stand half and twice their training size along one side. */
const SIDE_FACTOR = 2;
/** Square pictures of one and a half times the training size: beyond, Stable Diffusion draws things twice. */
const PIXELS_FACTOR = 2.25;

/** Returns the checkpoint's own range (`sizes` in spectrum.json), else one around its default size. */
export function nativeSizes(
  { defaults: { width, height, sizes } }: Pick<ModelDescription, "defaults">,
): NativeSizes {
  const largestSide = sizes?.largest ?? SIDE_FACTOR * Math.max(width, height);
  return {
    width,
    height,
    smallestSide: sizes?.smallest ?? Math.ceil(Math.min(width, height) / SIDE_FACTOR),
    largestSide,
    largestPixels: sizes ? largestSide ** 2 : Math.floor(PIXELS_FACTOR * width * height),
  };
}
