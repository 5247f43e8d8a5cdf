// Inpainting: the mask marks the places of the start image to draw anew. Source:
// diffusers' inpainting pipelines.
import type { MaskMode } from "../../protocol/wire/generation_fields.ts";
import type { ImageSize } from "../media/decoded_image.ts";
import { badField } from "./bad_field.ts";

/** A mask in the size of the start image. Its pixels can wait until the run begins. */
export interface MaskImage {
  width: number;
  height: number;
  /** [height, width]: 0 keeps the pixel, 255 draws it anew, values between blend both. */
  data?: Uint8Array;
}

/** A mask and how it is used. */
export interface StartMask {
  image: MaskImage;
  /** How its file marks the places to draw anew. */
  mode: MaskMode;
  /** Standard deviation of a Gaussian blur, in pixels. @default no blur */
  blur?: number;
  /**
   * Only the masked area and this many pixels around it are drawn, in the request's size, and put back into
   * the image, which keeps its own size.
   * @default the whole image is drawn
   */
  paddingMaskCrop?: number;
}

/** The mask's fields of a request. */
export interface PartialStartMask {
  mask?: MaskImage | undefined;
  /** @default "alpha" */
  maskMode?: MaskMode | undefined;
  maskBlur?: number | undefined;
  paddingMaskCrop?: number | undefined;
}

const MAX_PADDING = 4096;
const MAX_BLUR = 64;

/**
 * Checks the mask's fields.
 * @returns undefined for a run that draws the whole image
 * @throws {OptionError} naming the field, the rule and the value.
 */
export function completeMask(
  { mask, maskMode, maskBlur, paddingMaskCrop }: PartialStartMask,
  image: ImageSize | undefined,
): StartMask | undefined {
  if (mask === undefined) {
    for (const [name, value] of Object.entries({ maskMode, maskBlur, paddingMaskCrop })) {
      if (value !== undefined) throw badField(name, `takes a mask: current value is ${value}`);
    }
    return undefined;
  }
  if (image === undefined) throw badField("mask", "takes an image: there is none");
  if (mask.width !== image.width || mask.height !== image.height) {
    throw badField(
      "mask",
      `must be ${image.width}x${image.height} pixels: it is ${mask.width}x${mask.height}`,
    );
  }
  const isCrop = paddingMaskCrop === undefined ||
    Number.isInteger(paddingMaskCrop) && paddingMaskCrop >= 0 && paddingMaskCrop <= MAX_PADDING;
  if (!isCrop) {
    throw badField(
      "paddingMaskCrop",
      `must be a whole number in 0..${MAX_PADDING}: current value is ${paddingMaskCrop}`,
    );
  }
  if (maskBlur !== undefined && !(maskBlur >= 0 && maskBlur <= MAX_BLUR)) {
    throw badField("maskBlur", `must be in 0..${MAX_BLUR}: current value is ${maskBlur}`);
  }
  return {
    image: mask,
    mode: maskMode ?? "alpha",
    ...maskBlur && { blur: maskBlur },
    ...paddingMaskCrop !== undefined && { paddingMaskCrop },
  };
}
