// Fits a size that a client has built in to a model: the size itself where the model draws it
// well, else one of its shape.
import type { ModelCard } from "../../protocol/wire/model_card.ts";

export interface Size {
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
}

/** Returns the nearest size of the same shape that the model was made for. */
export function nearestSize(
  { width, height }: Size,
  { sizes, limits }: Pick<ModelCard, "sizes" | "limits">,
): Size {
  const [nativeWidth, nativeHeight] = sizes.native.split("x").map(Number) as [number, number];
  const smallest = sizes.smallest_side;
  const largest = Math.min(sizes.largest_side, limits.max_side);
  const isNative = Math.min(width, height) >= smallest && Math.max(width, height) <= largest &&
    width * height <= Math.min(sizes.largest_pixels, limits.max_pixels);
  // Else the same number of pixels as its own size: the most that it surely draws well.
  const scale = isNative ? 1 : Math.sqrt(nativeWidth * nativeHeight / (width * height));
  const fit = (side: number) => {
    const { multiple } = sizes;
    const clamped = Math.min(largest, Math.max(smallest, side * scale));
    return Math.min(
      Math.floor(largest / multiple) * multiple,
      Math.max(Math.ceil(smallest / multiple) * multiple, Math.round(clamped / multiple) * multiple),
    );
  };
  return { width: fit(width), height: fit(height) };
}
