// The images that FLUX.1 Kontext looks at: resized to the nearest of the sizes that it was trained on
// (FluxKontextPipeline).
import { decodeReference } from "../../media/decode_reference.ts";
import { toPlanes } from "../../media/decode_image.ts";
import type { DecodedImage, ImageSize } from "../../media/decoded_image.ts";
import { floorSize } from "../../media/floor_size.ts";
import { resample } from "../../media/resample.ts";
import type { ReferenceImage, ReferenceRules } from "../../request/references.ts";

/** diffusers' PREFERRED_KONTEXT_RESOLUTIONS, [width, height]. */
const TRAINED_SIZES = [
  [672, 1568],
  [688, 1504],
  [720, 1456],
  [752, 1392],
  [800, 1328],
  [832, 1248],
  [880, 1184],
  [944, 1104],
  [1024, 1024],
  [1104, 944],
  [1184, 880],
  [1248, 832],
  [1328, 800],
  [1392, 752],
  [1456, 720],
  [1504, 688],
  [1568, 672],
] as const;
/** FluxKontextPipeline's max_area: that of a picture without a size of its own, in pixels. */
const PICTURE_AREA = 1024 ** 2;

/**
 * Returns the rules for the image that FLUX.1 Kontext looks at.
 * @param multiple sizes are whole multiples of this many pixels
 */
export function kontextReferences(multiple: number): ReferenceRules {
  return {
    // diffusers takes several images for as many pictures, one for each.
    max: 1,
    pictureSize(first) {
      const aspect = first.width / first.height;
      return floorSize({
        width: Math.round(Math.sqrt(PICTURE_AREA * aspect)),
        height: Math.round(Math.sqrt(PICTURE_AREA / aspect)),
      }, multiple);
    },
    brokenRule: ({ width, height }) =>
      width < multiple || height < multiple
        ? `must have at least ${multiple}x${multiple} pixels with this model`
        : undefined,
  };
}

/** Returns the image as the VAE takes it. */
export async function kontextPicture(reference: ReferenceImage, multiple: number): Promise<DecodedImage> {
  const size = trainedSize(reference, multiple);
  const { data } = await resample(await decodeReference(reference), { ...size, filter: "lanczos" });
  return { ...size, data: toPlanes(data) };
}

/** Returns the trained size whose proportions are nearest to an image's. */
export function trainedSize(image: ImageSize, multiple: number): ImageSize {
  const own = floorSize(image, multiple);
  const aspect = own.width / own.height;
  const distances = TRAINED_SIZES.map(([width, height]) => Math.abs(aspect - width / height));
  const [width, height] = TRAINED_SIZES[distances.indexOf(Math.min(...distances))]!;
  return floorSize({ width, height }, multiple);
}
