// Cuts pictures into patches for Qwen's vision towers (transformers' Qwen2VLImageProcessor, whose Pillow
// backend decides the pixels).
import { z } from "zod";
import { roundHalfEven } from "../../../sampler/numerics/round_half_even.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import type { QwenVisionConfig } from "../../graph/vision_encoders/qwen_vision_config.ts";
import type { ImageSize } from "../../media/decoded_image.ts";
import { type Pixels, resample } from "../../media/resample.ts";

const count = z.int().positive();
const channels = z.tuple([z.number(), z.number(), z.number()]);

const schema = z.object({
  do_resize: z.literal(true).default(true),
  do_rescale: z.literal(true).default(true),
  do_normalize: z.literal(true).default(true),
  resample: z.literal(3, "must be 3: Pillow's bicubic").default(3),
  rescale_factor: z.number().positive().default(1 / 255),
  image_mean: channels.default([0.48145466, 0.4578275, 0.40821073]),
  image_std: channels.default([0.26862954, 0.26130258, 0.27577711]),
  patch_size: count.default(14),
  temporal_patch_size: count.default(2),
  merge_size: count.default(2),
  size: z.object({ shortest_edge: count, longest_edge: count }).partial().nullish(),
  min_pixels: count.nullish(),
  max_pixels: count.nullish(),
});

export interface ImageProcessorConfig {
  /** Fewest pixels of a picture; a smaller one is enlarged. */
  minPixels: number;
  /** Most pixels of a picture; a larger one is reduced. */
  maxPixels: number;
  rescaleFactor: number;
  mean: readonly number[];
  std: readonly number[];
}

/**
 * Checks a preprocessor_config.json, or the image_processor of a processor_config.json.
 * @throws {CheckpointError} naming the option, the rule and the value.
 */
export function parseImageProcessorConfig(
  json: unknown,
  { path, vision }: { path: string; vision: QwenVisionConfig },
): ImageProcessorConfig {
  const config = parseConfig(schema, json, { className: "Qwen2VLImageProcessor", path });
  const sizes = [
    ["patch_size", config.patch_size, vision.patchSize],
    ["temporal_patch_size", config.temporal_patch_size, vision.temporalPatchSize],
    ["merge_size", config.merge_size, vision.mergeSize],
  ] as const;
  for (const [name, value, expected] of sizes) {
    if (value === expected) continue;
    throw new CheckpointError(
      `Cannot use ${path} as '${name}' must be the vision tower's (${expected}): current value is ${value}`,
    );
  }
  return {
    minPixels: config.min_pixels ?? config.size?.shortest_edge ?? 56 * 56,
    maxPixels: config.max_pixels ?? config.size?.longest_edge ?? 28 * 28 * 1280,
    rescaleFactor: config.rescale_factor,
    mean: config.image_mean,
    std: config.image_std,
  };
}

/** A picture's patches, in the order of the text encoder's tokens. */
export interface ImagePatches {
  /** [patches, 3 * temporal * patch^2] */
  pixels: Float32Array<ArrayBuffer>;
  /** Rows and columns of patches. */
  grid: ImageSize;
}

/** Resizes, normalizes and cuts a picture. */
export async function imagePatches(
  image: Pixels,
  { processor, vision }: { processor: ImageProcessorConfig; vision: QwenVisionConfig },
): Promise<ImagePatches> {
  const { patchSize, temporalPatchSize, mergeSize } = vision;
  const size = smartResize(image, { ...processor, factor: patchSize * mergeSize });
  const { data } = await resample(image, { ...size, filter: "bicubic" });
  const levels = normalizedLevels(processor);
  const grid = { width: size.width / patchSize, height: size.height / patchSize };
  const length = 3 * temporalPatchSize * patchSize ** 2;
  const pixels = new Float32Array(grid.width * grid.height * length);
  for (const [index, { row, column }] of patchPlaces(grid, mergeSize).entries()) {
    let at = index * length;
    for (let channel = 0; channel < 3; channel++) {
      for (let frame = 0; frame < temporalPatchSize; frame++) {
        for (let y = 0; y < patchSize; y++) {
          let from = ((row * patchSize + y) * size.width + column * patchSize) * 3 + channel;
          for (let x = 0; x < patchSize; x++, from += 3) pixels[at++] = levels[channel]![data[from]!]!;
        }
      }
    }
  }
  return { pixels, grid };
}

/** Returns the row and column of each patch: token by token, row-major within both. */
export function patchPlaces(
  { width, height }: ImageSize,
  mergeSize: number,
): { row: number; column: number }[] {
  const places: { row: number; column: number }[] = [];
  for (let top = 0; top < height; top += mergeSize) {
    for (let left = 0; left < width; left += mergeSize) {
      for (let y = 0; y < mergeSize; y++) {
        for (let x = 0; x < mergeSize; x++) places.push({ row: top + y, column: left + x });
      }
    }
  }
  return places;
}

/** Longest side of a picture as a multiple of its shortest. */
const MAX_RATIO = 200;

/** Returns whether the tower takes a picture's proportions. */
export function isTooLong({ width, height }: ImageSize): boolean {
  return Math.max(width, height) / Math.min(width, height) > MAX_RATIO;
}

/** Returns the size that a picture is resized to: multiples of `factor`, close to its own proportions. */
export function smartResize(
  { width, height }: ImageSize,
  { factor, minPixels, maxPixels }: { factor: number; minPixels: number; maxPixels: number },
): ImageSize {
  const near = (side: number) => roundHalfEven(side / factor) * factor;
  const size = { width: near(width), height: near(height) };
  const area = width * height;
  if (size.width * size.height > maxPixels) {
    const beta = Math.sqrt(area / maxPixels);
    const below = (side: number) => Math.max(factor, Math.floor(side / beta / factor) * factor);
    return { width: below(width), height: below(height) };
  }
  if (size.width * size.height < minPixels) {
    const beta = Math.sqrt(minPixels / area);
    const above = (side: number) => Math.ceil(side * beta / factor) * factor;
    return { width: above(width), height: above(height) };
  }
  return size;
}

/** Returns the value of each of 256 levels, for each channel. */
function normalizedLevels({ rescaleFactor, mean, std }: ImageProcessorConfig): Float32Array[] {
  const { fround } = Math;
  return mean.map((mean, channel) =>
    Float32Array.from(
      { length: 256 },
      (_, level) => fround(fround(level * rescaleFactor) - fround(mean)) / fround(std[channel]!),
    )
  );
}
