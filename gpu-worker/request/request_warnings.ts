// Says before a run what is likely to be wrong with its picture, although the request breaks no rule.
import type { ModelDescription } from "./model_description.ts";
import { nativeSizes } from "./native_sizes.ts";
import type { VideoFrames } from "./video_frames.ts";

export interface WarnedRequest {
  prompt: string;
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
  frames?: VideoFrames | undefined;
}

export interface WarningModel {
  /** The name that the user gave. */
  id: string;
  /** The prompts that the checkpoint was trained on, if it lists them. */
  names?: readonly string[] | undefined;
  description: Pick<ModelDescription, "defaults">;
}

/** Returns a sentence for each thing; none for a request that suits the model. */
export function requestWarnings(request: WarnedRequest, model: WarningModel): string[] {
  return [sizeWarning(request, model), wordsWarning(request, model), stretchWarning(request)].filter(
    (warning) => warning !== undefined,
  );
}

/**
 * Share by which a frame's proportions may differ from the video's: rounding, and a line of pixels more or
 * less.
 */
const STRETCH = 0.05;

function stretchWarning({ width, height, frames }: WarnedRequest): string | undefined {
  const stretched = [frames?.first, frames?.last].find((frame) =>
    frame !== undefined && Math.abs(frame.width * height / (frame.height * width) - 1) > STRETCH
  );
  return stretched &&
    `A given frame of ${stretched.width}x${stretched.height} is stretched to ${width}x${height}. ` +
      "A video without a size has the proportions of its first frame.";
}

function sizeWarning(
  { width, height }: WarnedRequest,
  { id, description }: WarningModel,
): string | undefined {
  const sizes = nativeSizes(description);
  const isNative = Math.min(width, height) >= sizes.smallestSide &&
    Math.max(width, height) <= sizes.largestSide &&
    width * height <= sizes.largestPixels;
  if (isNative) return undefined;
  const native = `${sizes.width}x${sizes.height}`;
  return `${width}x${height} is far from the ${native} that ${id} was made for, so the picture may be ` +
    `wrong. Try ${native}.`;
}

/**
 * A checkpoint that lists its prompts draws something for any other prompt too, which
 * has nothing to do with it.
 */
function wordsWarning({ prompt }: WarnedRequest, { id, names }: WarningModel): string | undefined {
  if (names === undefined || names.length === 0) return undefined;
  const known = new Set(names.flatMap(wordsOf));
  const words = wordsOf(prompt);
  if (words.length === 0 || words.some((word) => known.has(word))) return undefined;
  const examples = [0, 1, 2].map((third) => names[Math.floor(third * names.length / 3)]);
  return `${id} knows no word of this prompt. Its names.txt lists the ${names.length} prompts that it ` +
    `knows, such as ${[...new Set(examples)].join(", ")}.`;
}

/** Words that say what is to be seen: articles and prepositions do not. */
function wordsOf(text: string): string[] {
  return (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).filter((word) => !SMALL_WORDS.has(word));
}

const SMALL_WORDS = new Set(["a", "an", "and", "at", "by", "from", "in", "of", "on", "the", "to", "with"]);
