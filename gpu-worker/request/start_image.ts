// Image to image: the run begins in the middle of the noise schedule, with a picture's latents
// under noise. Source: diffusers' get_timesteps in FluxImg2ImgPipeline,
// StableDiffusion3Img2ImgPipeline and Stable Diffusion's two pipelines.
import type { DecodedImage, ImageSize } from "../media/decoded_image.ts";
import { badField } from "./bad_field.ts";
import { completeMask, type PartialStartMask, type StartMask } from "./start_mask.ts";

/** The image that a run starts from instead of noise. Its size is enough to complete a request. */
export interface StartImage<Image extends ImageSize = DecodedImage> {
  /** The image, in the size of the picture to make. */
  image: Image;
  /** Share of the noise schedule to run, 0..1. With 1, next to nothing of the image is left. */
  strength: number;
  /** Number of steps to skip at the beginning. */
  firstStep: number;
  /** The places to draw anew (inpainting). @default the whole image */
  mask?: StartMask;
}

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
}

/**
 * Checks the image fields and computes the first step.
 * @returns undefined for text to image
 * @throws {OptionError} naming the field, the rule and the value.
 */
export function completeStartImage<Image extends ImageSize>(
  { image, strength: given, ...masking }: PartialStartImage<Image>,
  { width, height, steps, rules }: StartImageContext,
): StartImage<Image> | undefined {
  const mask = completeMask(masking, { image, width, height });
  if (image === undefined) {
    if (given === undefined) return undefined;
    throw badField("strength", `takes an image: current value is ${given}`);
  }
  if (rules === undefined) {
    throw badField("image", "must be absent with this model, which draws from text only");
  }
  if (image.width !== width || image.height !== height) {
    throw badField("image", `must be ${width}x${height} pixels: it is ${image.width}x${image.height}`);
  }
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
