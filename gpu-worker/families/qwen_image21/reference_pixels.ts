// The pixels of a reference, with opacity, in the size in which Qwen-Image-2.1 sees it.
import type { Pixels } from "../../media/resample.ts";
import { decodeTransparent, resampleTransparent } from "../../media/transparent_pixels.ts";
import { sizeOfArea } from "../../text/qwen_vision/reference_sizes.ts";
import type { ReferenceImage } from "../../request/references.ts";
import type { Sight } from "./read_sight.ts";

export async function referencePixels(
  reference: ReferenceImage,
  { area }: Pick<Sight, "area">,
): Promise<Pixels> {
  const size = sizeOfArea(reference, area);
  return await resampleTransparent(await decodeTransparent(reference), { ...size, filter: "lanczos" });
}
