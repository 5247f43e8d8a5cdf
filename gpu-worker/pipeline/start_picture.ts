// The picture that a run draws over: the start image and its mask, or the part of both around the mask.
// Source: diffusers' inpainting pipelines (padding_mask_crop).
import { blurMask } from "../media/blur_mask.ts";
import { composite } from "../media/composite.ts";
import { cutOut, putBack } from "../media/crop_picture.ts";
import { cropRegion } from "../media/crop_region.ts";
import type { DecodedImage, ImageSize } from "../media/decoded_image.ts";
import type { StartImage } from "../request/start_image.ts";

/** The picture that a run starts from. */
export interface StartPicture {
  image: DecodedImage;
  /** [height, width] of `image`: 0 keeps a pixel, 255 draws it anew. @default every pixel is drawn anew */
  mask?: Uint8Array;
  /** Puts what was drawn into the start image, whose pixels outside the mask stay as they are. */
  finish(drawn: DecodedImage): Promise<DecodedImage>;
}

/**
 * Prepares the start image of a run.
 * @param drawn size that the run draws in
 * @throws {ImageError} if a part is to be drawn and the mask marks none
 */
export async function startPicture({ image, mask }: StartImage, drawn: ImageSize): Promise<StartPicture> {
  if (mask === undefined) return { image, finish: (drawn) => Promise.resolve(drawn) };
  const { image: { data: sharp, ...size }, blur, paddingMaskCrop } = mask;
  if (sharp === undefined) throw new TypeError("Cannot draw with a mask whose pixels are not decoded");
  const data = blur === undefined ? sharp : blurMask({ ...size, data: sharp }, blur);
  if (paddingMaskCrop === undefined) {
    return { image, mask: data, finish: (drawn) => Promise.resolve(composite(drawn, image, data)) };
  }
  const pixels = { ...size, data };
  const region = cropRegion(pixels, { padding: paddingMaskCrop, drawn });
  const part = await cutOut({ image, mask: pixels }, { region, drawn });
  return {
    image: part.image,
    mask: part.mask.data,
    finish: (part) => putBack({ image, mask: pixels }, { drawn: part, region }),
  };
}
