// Image to image: the run begins in the middle of the noise schedule, with a picture's latents
// under noise. Source: diffusers' get_timesteps in FluxImg2ImgPipeline,
// StableDiffusion3Img2ImgPipeline and Stable Diffusion's two pipelines.
import type { DecodedImage, ImageSize } from "../media/decoded_image.ts";
import { badField } from "./bad_field.ts";
import { completeMask, type PartialStartMask, type StartMask } from "./start_mask.ts";

/** The image that a run starts from instead of noise. Its size is enough to complete a request. */
export interface StartImage<Image extends ImageSize = DecodedImage> {
  /** The image, in the size that is drawn in; with a mask's `paddingMaskCrop` in its own. */
  image: Image;
  /** Share of the noise schedule to run, 0..1. With 1, next to nothing of the image is left. */
  strength: number;
  /** Number of steps to skip at the beginning. */
  firstStep: number;
  /** The places to draw anew (inpainting). @default the whole image */
  mask?: StartMask;
}

/** Largest image that a part is put back into. The whole is held as float32. */
const MAX_WHOLE_PIXELS = 2 ** 24;
const MAX_WHOLE_SIDE = 8192;

/** The differences between families. */
export interface StartImageRules {
  /** Default of `strength`. */
  strength: number;
  /** Default of `strength` with a mask. @default strength */
  maskStrength?: number;
  /** Whether a step that `strength` covers only partly is run. */
  partialStep: "run" | "skip";
}

/** The image fields of a request. */
export interface PartialStartImage<Image extends ImageSize = DecodedImage> extends PartialStartMask {
  image?: Image | undefined;
  strength?: number | undefined;
}

/** The fields of the request that the image must fit. */
export interface StartImageContext {
  width: number;
  height: number;
  steps: number;
  /** Undefined if the family cannot start from an image. */
  rules: StartImageRules | undefined;
  /** The part that the checkpoint lacks to look at images. @default its class takes none */
  lacks?: string | undefined;
}

/**
 * Checks the image fields and computes the first step.
 * @returns undefined for text to image
 * @throws {OptionError} naming the field, the rule and the value.
 */
export function completeStartImage<Image extends ImageSize>(
  { image, strength: given, ...masking }: PartialStartImage<Image>,
  { width, height, steps, rules, lacks }: StartImageContext,
): StartImage<Image> | undefined {
  const mask = completeMask(masking, image);
  if (image === undefined) {
    if (given === undefined) return undefined;
    throw badField("strength", `takes an image: current value is ${given}`);
  }
  if (rules === undefined) {
    const cause = lacks === undefined ? "" : `: it has no ${lacks}`;
    throw badField("image", `must be absent with this model, which draws from text only${cause}`);
  }
  checkSize(image, { width, height, crops: mask?.paddingMaskCrop !== undefined });
  const strength = given ?? (mask && rules.maskStrength) ?? rules.strength;
  if (typeof strength !== "number" || !(strength >= 0 && strength <= 1)) {
    throw badField("strength", `must be in 0..1: current value is ${strength}`);
  }
  const firstStep = skippedSteps({ strength, steps }, rules);
  if (firstStep === steps) {
    throw badField(
      "strength",
      `must leave at least one of ${steps} steps to run: current value is ${strength}`,
    );
  }
  return { image, strength, firstStep, ...mask && { mask } };
}

/** Returns the size that a part of an image is drawn in by default: that of the whole, in multiples. */
export function partSize({ width, height }: ImageSize, multiple: number): ImageSize {
  const floor = (side: number) => Math.max(1, Math.floor(side / multiple)) * multiple;
  return { width: floor(width), height: floor(height) };
}

/** Returns the size of the finished picture, where it is not the one that is drawn in. */
export function wholeSize({ image, mask }: StartImage<ImageSize>): ImageSize | undefined {
  if (mask?.paddingMaskCrop === undefined) return undefined;
  return { width: image.width, height: image.height };
}

/** @throws {OptionError} if the image is not in the size to draw in, or too large to put a part back into */
function checkSize(
  image: ImageSize,
  { width, height, crops }: ImageSize & { crops: boolean },
): void {
  const size = `${image.width}x${image.height}`;
  if (!crops) {
    if (image.width === width && image.height === height) return;
    throw badField("image", `must be ${width}x${height} pixels: it is ${size}`);
  }
  const isSmall = Math.max(image.width, image.height) <= MAX_WHOLE_SIDE &&
    image.width * image.height <= MAX_WHOLE_PIXELS;
  if (isSmall) return;
  throw badField(
    "image",
    (quote) =>
      `must have at most ${MAX_WHOLE_PIXELS} pixels and sides of at most ${MAX_WHOLE_SIDE} ` +
      `with ${quote("paddingMaskCrop")}, but is ${size}`,
  );
}

/**
 * Keeps Python's order of operations: steps - steps *
 * strength rounds differently from steps * (1 - strength).
 */
function skippedSteps(
  { strength, steps }: { strength: number; steps: number },
  { partialStep }: StartImageRules,
): number {
  const asked = Math.min(steps * strength, steps);
  return partialStep === "run" ? Math.trunc(steps - asked) : steps - Math.trunc(asked);
}
