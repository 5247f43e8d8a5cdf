// Reads preprocessor_config.json of transformers' CLIPImageProcessor: how a picture is prepared for CLIP's
// vision encoder.
import { z } from "zod";
import type { ClipPixelsOptions } from "../media/clip_pixels.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { CheckpointError } from "./checkpoint_error.ts";
import { parseConfig } from "./parse_config.ts";

const side = z.int().positive().max(4096);
const colours = z.tuple([z.number(), z.number(), z.number()]);
const box = z.strictObject({ height: side, width: side });
/** A number is both sides, as older files have it. */
const square = side.transform((length) => ({ height: length, width: length }));

const schema = z.strictObject({
  do_resize: z.boolean().default(true),
  // Older files have a number for the shorter side.
  size: z.union([z.strictObject({ shortest_edge: side }), box, side]).default({ shortest_edge: 224 }),
  // Pillow's bicubic.
  resample: z.literal(3, "must be bicubic (3)").default(3),
  do_center_crop: z.boolean().default(true),
  crop_size: z.union([box, square]).default({ height: 224, width: 224 }),
  do_rescale: z.boolean().default(true),
  rescale_factor: z.number().positive().default(1 / 255),
  do_normalize: z.boolean().default(true),
  image_mean: colours.default([0.48145466, 0.4578275, 0.40821073]),
  image_std: z.tuple([z.number().positive(), z.number().positive(), z.number().positive()])
    .default([0.26862954, 0.26130258, 0.27577711]),
  // Bookkeeping; pictures are RGB here whatever it says.
  crop_pct: z.null().optional(),
  data_format: z.unknown().optional(),
  default_to_square: z.unknown().optional(),
  device: z.unknown().optional(),
  disable_grouping: z.unknown().optional(),
  do_convert_rgb: z.unknown().optional(),
  do_pad: z.union([z.null(), z.literal(false)]).optional(),
  feature_extractor_type: z.unknown().optional(),
  image_processor_type: z.unknown().optional(),
  input_data_format: z.unknown().optional(),
  pad_size: z.null().optional(),
  processor_class: z.unknown().optional(),
  return_tensors: z.unknown().optional(),
  use_square_size: z.literal(false).optional(),
});

/**
 * Reads the image processor of a vision encoder whose pictures have `side` pixels along each side.
 * @throws {CheckpointError} if it is of another class, or prepares pictures of another size.
 */
export function readClipImageProcessor(
  checkpoint: Checkpoint,
  { side }: { side: number },
): ClipPixelsOptions {
  checkpoint.requireClass("image_processor", "CLIPImageProcessor", "CLIPFeatureExtractor");
  const file = ["image_processor", "preprocessor_config.json"] as const;
  const pixels = parseClipImageProcessor(checkpoint.json(...file), file.join("/"));
  const { width, height } = pixels.crop ?? { width: undefined, height: undefined };
  if (width === side && height === side) return pixels;
  throw new CheckpointError(
    `Cannot use ${file.join("/")} as 'crop_size' must be the vision encoder's 'image_size' ` +
      `(${side}), but is ${height}x${width}`,
  );
}

/**
 * Checks the file's content.
 * @throws {CheckpointError} naming the option that is unknown, wrong or not supported.
 */
function parseClipImageProcessor(json: unknown, path: string): ClipPixelsOptions {
  const config = parseConfig(schema, json, { className: "CLIPImageProcessor", path });
  const { size } = config;
  const resize = typeof size === "number"
    ? { shortestEdge: size }
    : "shortest_edge" in size
    ? { shortestEdge: size.shortest_edge }
    : size;
  return {
    resize: config.do_resize ? resize : undefined,
    crop: config.do_center_crop ? config.crop_size : undefined,
    rescale: config.do_rescale ? config.rescale_factor : 1,
    mean: config.do_normalize ? config.image_mean : [0, 0, 0],
    std: config.do_normalize ? config.image_std : [1, 1, 1],
  };
}
