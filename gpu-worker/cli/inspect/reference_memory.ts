// What the references of a run add to its memory.
import { UsageError } from "../../../protocol/process/usage_error.ts";
import { openReference } from "../../flags/image_flags.ts";
import type { ImageSize } from "../../media/decoded_image.ts";
import type { ReadModel } from "../../model/read_model.ts";
import { denoisedDims, featureElements } from "../../pipeline/run_shape.ts";
import type { GenerateRequest } from "../../request/generate_request.ts";
import type { ReferenceRules } from "../../request/references.ts";
import { latentsOf } from "../../vae/video_size.ts";
import type { ReferenceMemory } from "./predict_memory.ts";

/** A megapixel. */
const USUAL: ImageSize = { width: 1024, height: 1024 };

/**
 * Returns the references of the run that is predicted: the given files, or as many of a megapixel as the
 * model cannot do without.
 * @throws {UsageError} if the model looks at no images.
 * @throws {ImageError} if a file cannot be read or is no image.
 */
export async function predictedReferences(
  paths: readonly string[],
  rules: ReferenceRules | undefined,
): Promise<ImageSize[]> {
  if (paths.length === 0) return Array.from({ length: rules?.min ?? 0 }, () => USUAL);
  if (rules === undefined) throw new UsageError("--image takes a model that looks at images");
  const opened = await Promise.all(paths.map(openReference));
  return opened.map(({ width, height }) => ({ width, height }));
}

/** Returns the references' part of a memory query. */
export function referenceMemory(read: ReadModel, request: GenerateRequest): ReferenceMemory | undefined {
  const { references = [] } = request;
  const { reading } = read;
  const { references: rules } = reading.rules;
  if (references.length === 0 || rules === undefined) return undefined;
  // The denoiser sees a reference in about the size of a picture in its proportions.
  const sizes = references.map((image) => ({ ...request, ...rules.pictureSize(image) }));
  const tokensOf = (size: GenerateRequest) =>
    denoisedDims({ family: read.family, reading }, latentsOf(reading.latentScale, size))[0]!;
  const tokens = sizes.reduce((sum, size) => sum + tokensOf(size), request.maxSequenceLength);
  const seen = references.flatMap((image) => reading.towerSize?.(image) ?? []);
  const largest = (values: readonly number[]) => Math.max(0, ...values);
  return {
    elements: sizes.reduce((sum, size) => sum + featureElements(read, size), 0),
    scores: reading.scoreElements?.(tokens) ?? 0,
    encoding: largest(sizes.map((size) => reading.decoding(size).activation)),
    towerElements: largest(seen.map(({ elements }) => elements)),
    textTokens: seen.reduce((sum, { tokens }) => sum + tokens, 0),
  };
}
