// Image to image: a run that begins in the middle of the noise schedule, with the latents of a picture under noise.
// diffusers' get_timesteps in FluxImg2ImgPipeline, StableDiffusion3Img2ImgPipeline and Stable Diffusion's two.
import type { DecodedImage } from "../media/decoded_image.ts";

/** All that completing a request needs of an image. Its pixels can wait until the run begins. */
export interface ImageSize {
  width: number;
  height: number;
}

/** What a run starts from instead of noise alone. */
export interface StartImage<Image extends ImageSize = DecodedImage> {
  /** As large as the picture to make. */
  image: Image;
  /** How much of the noise schedule is run, 0..1: a strength of 1 leaves next to nothing of the image. */
  strength: number;
  /** Steps that are left out at the beginning. */
  firstStep: number;
}

/** Where families differ. */
export interface StartImageRules {
  /** What `strength` is unless given. */
  strength: number;
  /** Whether a step of which `strength` asks for a part is run. */
  partialStep: "run" | "skip";
}

/** What a request may leave open. */
export interface PartialStartImage<Image extends ImageSize = DecodedImage> {
  image?: Image | undefined;
  strength?: number | undefined;
}

/** The rest of the request that it must fit. */
export interface StartImageContext {
  width: number;
  height: number;
  steps: number;
  /** Absent where the family cannot start from an image. */
  rules: StartImageRules | undefined;
}

/**
 * @returns undefined for text to image
 * @throws {RangeError} naming the field, the rule and the value.
 */
export function completeStartImage<Image extends ImageSize>(
  { image, strength: given }: PartialStartImage<Image>,
  { width, height, steps, rules }: StartImageContext,
): StartImage<Image> | undefined {
  if (image === undefined) {
    if (given === undefined) return undefined;
    throw new RangeError(`Cannot generate as 'strength' takes an image: current value is ${given}`);
  }
  if (rules === undefined) {
    throw new RangeError("Cannot generate as 'image' is not known to this model: it draws from text alone");
  }
  if (image.width !== width || image.height !== height) {
    throw new RangeError(
      `Cannot generate as 'image' must be ${width}x${height} pixels: it is ${image.width}x${image.height}`,
    );
  }
  const strength = given ?? rules.strength;
  if (typeof strength !== "number" || !(strength >= 0 && strength <= 1)) {
    throw new RangeError(`Cannot generate as 'strength' must be in 0..1: current value is ${strength}`);
  }
  const firstStep = skippedSteps({ strength, steps }, rules);
  if (firstStep === steps) {
    throw new RangeError(
      `Cannot generate as 'strength' must leave at least one of ${steps} steps to run: current value is ${strength}`,
    );
  }
  return { image, strength, firstStep };
}

/** In the order in which Python computes it: steps - steps * strength is rounded otherwise than steps * (1 - strength). */
function skippedSteps(
  { strength, steps }: { strength: number; steps: number },
  { partialStep }: StartImageRules,
): number {
  const asked = Math.min(steps * strength, steps);
  return partialStep === "run" ? Math.trunc(steps - asked) : steps - Math.trunc(asked);
}
