// The images that FLUX.2 klein looks at: reduced to a megapixel and cropped to whole tokens
// (Flux2KleinPipeline and Flux2ImageProcessor).
import { cropCenter, decodeReference } from "../../media/decode_reference.ts";
import { toPlanes } from "../../media/decode_image.ts";
import type { DecodedImage, ImageSize } from "../../media/decoded_image.ts";
import { floorSize } from "../../media/floor_size.ts";
import { resample } from "../../media/resample.ts";
import type { ReferenceImage, ReferenceRules } from "../../request/references.ts";
import type { RequestRules } from "../../request/request_rules.ts";
import { MAX_REFERENCES } from "../../../protocol/wire/run_request.ts";

const MAX_AREA = 1024 ** 2;
const MIN_SIDE = 64;
const MAX_ASPECT = 8;

/**
 * Returns the rules for the images that FLUX.2 klein looks at.
 * @param multiple sizes are whole multiples of this many pixels
 */
export function flux2References(multiple: number): ReferenceRules {
  return {
    max: MAX_REFERENCES,
    pictureSize: (first) => floorSize(reduced(first), multiple),
    brokenRule({ width, height }) {
      if (Math.min(width, height) < Math.max(MIN_SIDE, multiple)) {
        return `must have at least ${MIN_SIDE}x${MIN_SIDE} pixels with this model`;
      }
      if (Math.max(width / height, height / width) > MAX_ASPECT) {
        return `must have a long side of at most ${MAX_ASPECT} times the short one with this model`;
      }
      const size = floorSize(reduced({ width, height }), multiple);
      return size.width === 0 || size.height === 0
        ? "must have other proportions with this model"
        : undefined;
    },
  };
}

/** Returns the image as the VAE takes it. */
export async function flux2Picture(
  reference: ReferenceImage,
  { rules: { sizeMultiple } }: { rules: Pick<RequestRules, "sizeMultiple"> },
): Promise<DecodedImage> {
  const size = reduced(reference);
  const pixels = await resample(await decodeReference(reference), { ...size, filter: "lanczos" });
  const { data, width, height } = cropCenter(pixels, floorSize(size, sizeMultiple));
  return { width, height, data: toPlanes(data) };
}

/** Returns the size of an image with at most a megapixel. */
function reduced({ width, height }: ImageSize): ImageSize {
  const area = width * height;
  if (area <= MAX_AREA) return { width, height };
  const scale = Math.sqrt(MAX_AREA / area);
  return { width: Math.trunc(width * scale), height: Math.trunc(height * scale) };
}
