// References: images that a model looks at while it draws. A start image is drawn over instead.
import type { ImageSize } from "../media/decoded_image.ts";
import { badField } from "./bad_field.ts";

/**
 * An image to look at, in the size of its file after EXIF rotation. Its file can wait until the run begins.
 */
export interface ReferenceImage extends ImageSize {
  file?: ReferenceFile;
}

export interface ReferenceFile {
  bytes: Uint8Array;
  /** SHA-256 in hex. */
  sha256: string;
}

/** The differences between families. */
export interface ReferenceRules {
  /** Most references of one request. */
  max: number;
  /** Fewest references of one request. @default 0: the model draws from text too */
  min?: number;
  /** Returns the size of the picture where the request names none. */
  pictureSize(first: ImageSize): ImageSize;
  /**
   * Returns the rule that an image breaks: "must have at least 64x64 pixels". @default every image is taken
   */
  brokenRule?(image: ImageSize): string | undefined;
}

/** The fields of a request that concern references. */
export interface PartialReferences {
  references?: readonly ReferenceImage[] | undefined;
}

/** The models that take references, for errors. */
const KINDS = "FLUX.1 Kontext, FLUX.2 klein, Qwen-Image-Edit and Qwen-Image-2.1";

/**
 * Checks the references of a request.
 * @returns undefined for a request without references
 * @throws {OptionError} naming the field, the rule and the value.
 */
export function completeReferences(
  { references = [] }: PartialReferences,
  { rules, ...beside }: {
    rules: ReferenceRules | undefined;
    image?: unknown;
    mask?: unknown;
    strength?: number | undefined;
  },
): readonly ReferenceImage[] | undefined {
  const count = references.length;
  if (rules === undefined) {
    if (count === 0) return undefined;
    throw badField(
      "image",
      `must be one image with this model: there are ${count}. ${KINDS} look at several`,
    );
  }
  if (beside.image !== undefined) {
    throw badField("image", "must be sent as a reference: this model looks at images and draws over none");
  }
  if (beside.mask !== undefined) throw noMask();
  if (count === 0) return undefined;
  if (beside.strength !== undefined) {
    throw badField(
      "strength",
      "must be absent with this model, which looks at its images and draws over none: " +
        `current value is ${beside.strength}`,
    );
  }
  if (count > rules.max) {
    throw badField("image", `must be at most ${rules.max} with this model: there are ${count}`);
  }
  for (const [index, image] of references.entries()) {
    const broken = rules.brokenRule?.(image);
    if (broken === undefined) continue;
    const which = count === 1 ? "" : `image ${index + 1} of ${count}: `;
    throw badField("image", `${broken}: ${which}it is ${image.width}x${image.height}`);
  }
  return references;
}

/** Returns the error for a mask with a model that draws over no image. */
export function noMask(): Error {
  return badField("mask", "must be absent with this model, which looks at its images and draws over none");
}

/**
 * Checks that a request has the references that its model cannot do without.
 * @throws {OptionError}
 */
export function requireReferences(
  { references = [] }: PartialReferences,
  { references: rules }: { references?: ReferenceRules },
): void {
  const { min = 0 } = rules ?? {};
  if (references.length >= min) return;
  throw badField("image", `must be at least ${min} with this model: there are ${references.length}`);
}
