// POST /runs of a worker: one run makes one picture or one video, so that pictures of one request can come
// from the cache, from runs of others and from several workers.
import { z } from "zod";
import {
  controlFields,
  generationFields,
  MASK_MODES,
  maskBlurField,
  maskModeField,
  outputCompression,
  outputFormat,
  paddingMaskCropField,
  schedulerOptionsSchema,
  seedField,
  strengthField,
  videoFields,
  videoFormat,
} from "./generation_fields.ts";
import { optional } from "./optional.ts";
import { spectrumSettingsSchema } from "./sampler_fields.ts";

/** Largest image file to start from. */
export const MAX_IMAGE_BYTES = 8 * 2 ** 20;
const MAX_IMAGE_CHARACTERS = Math.ceil(MAX_IMAGE_BYTES / 3) * 4;
/** Largest file of a mask. */
export const MAX_MASK_BYTES = 4 * 2 ** 20;
const MAX_MASK_CHARACTERS = Math.ceil(MAX_MASK_BYTES / 3) * 4;
/** Most references of one run. */
export const MAX_REFERENCES = 10;
/** Largest total of a run's references. */
export const MAX_REFERENCES_BYTES = 3 * MAX_IMAGE_BYTES;
/** Room for a run request with the largest references and mask. */
export const MAX_RUN_BYTES = 3 * MAX_IMAGE_CHARACTERS + MAX_MASK_CHARACTERS + 256 * 1024;

/** The place of a run in the shared run log (protocol/store/run_log/). */
const sharedRunSchema = z.strictObject({
  /** The run's id, for the worker to use as its own. */
  id: z.string().regex(/^[\w-]{8,64}$/),
  /** Events of attempts before this one go up to this id. */
  attempt: z.int().min(1),
  after: z.int().min(0).default(0),
  /** Whether the worker is to write the shared log, if it has one. */
  log: z.boolean().default(false),
  /** Key of the result, and the digest of the weights that must have made it. */
  store: optional(z.strictObject({ key: z.string().max(200), model_digest: z.string().max(200) })),
});

const digestField = z.string().regex(/^[0-9a-f]{64}$/);

/** The fields of a run that hold files in base64. NAME_sha256 names a file that the worker has. */
export const FILE_FIELDS = ["image", "mask", "control_image", "last_frame"] as const;

/** The same of fields that hold lists of files. NAME_sha256 is a list of digests in the same order. */
export const FILE_LISTS = ["references"] as const;

export const runRequestSchema = z.strictObject({
  ...generationFields,
  ...videoFields,
  ...controlFields,
  model: z.string().max(256),
  seed: seedField,
  /** Image file to start from, in base64. */
  image: optional(z.string().max(MAX_IMAGE_CHARACTERS)),
  /** Image file of a video's last frame, in base64. Its first frame is `image`. */
  last_frame: optional(z.string().max(MAX_IMAGE_CHARACTERS)),
  strength: strengthField,
  /** File of the mask, in base64: the places of the image to draw anew. */
  mask: optional(z.string().max(MAX_MASK_CHARACTERS)),
  /** Control image file, in base64. */
  control_image: optional(z.string().max(MAX_IMAGE_CHARACTERS)),
  /** SHA-256 (hex) of files that the worker has been sent before, in their place. */
  image_sha256: optional(digestField),
  mask_sha256: optional(digestField),
  control_image_sha256: optional(digestField),
  last_frame_sha256: optional(digestField),
  /** Files of images to look at, in base64. */
  references: optional(z.array(z.string().max(MAX_IMAGE_CHARACTERS)).min(1).max(MAX_REFERENCES)),
  references_sha256: optional(z.array(digestField).min(1).max(MAX_REFERENCES)),
  mask_mode: maskModeField,
  mask_blur: maskBlurField,
  padding_mask_crop: paddingMaskCropField,
  /** Pixels; which ones a checkpoint takes is its own to say. */
  width: optional(z.int().min(0).max(99_999)),
  /** Pixels. */
  height: optional(z.int().min(0).max(99_999)),
  /** Number of previews to emit. */
  previews: z.int().min(0).max(3).default(0),
  output_format: z.enum([...outputFormat.options, ...videoFormat.options]).default("png"),
  output_compression: outputCompression.default(100),
  /** Whether the file says how it was made. */
  metadata: z.boolean().default(true),
  /** Names the owner, among whom the queue is shared. */
  owner: optional(z.string().regex(/^[0-9a-f]{16,64}$/)),
  /** Whether it is a job's: jobs leave room in the queue for those who wait on a connection. */
  background: z.boolean().default(false),
  /** Left out by those that follow the run themselves. */
  shared: optional(sharedRunSchema),
});

const imageSizeSchema = z.strictObject({ width: z.int().positive(), height: z.int().positive() });

/**
 * POST /complete of a worker: the image may be told by its size, so that its bytes travel with the run alone.
 */
export const completionRequestSchema = runRequestSchema.extend({
  /** Size of the image file after its EXIF rotation. */
  image_size: optional(imageSizeSchema),
  /** The same of the mask. */
  mask_size: optional(imageSizeSchema),
  /** The same of the control image. */
  control_image_size: optional(imageSizeSchema),
  /** The same of a video's last frame. */
  last_frame_size: optional(imageSizeSchema),
  /** The same of the references. */
  reference_sizes: optional(z.array(imageSizeSchema).min(1).max(MAX_REFERENCES)),
});
export type CompletionRequest = z.output<typeof completionRequestSchema>;
export type OpenCompletionRequest = z.input<typeof completionRequestSchema>;

/** A run request as a worker reads it. */
export type RunRequest = z.output<typeof runRequestSchema>;
/** A run request as an edge sends it. It leaves open fields out. */
export type OpenRunRequest = z.input<typeof runRequestSchema>;

/** Skip-layer guidance in full. */
export const skipLayerSettingsSchema = z.object({
  layers: z.array(z.int()).readonly(),
  scale: z.number(),
  start: z.number(),
  stop: z.number(),
});

/** Settings of a run with a control image alone. */
export const controlSettings = {
  controlnet: z.string().exactOptional(),
  control_scale: z.number().exactOptional(),
  control_start: z.number().exactOptional(),
  control_end: z.number().exactOptional(),
  control_mode: z.int().exactOptional(),
};

/** The settings that decide the pixels: a run request with every default of its checkpoint filled in. */
export const completeSettingsSchema = z.object({
  prompt: z.string(),
  negative_prompt: z.string(),
  seed: z.int(),
  steps: z.int(),
  /** Pixels. */
  width: z.int(),
  /** Pixels. */
  height: z.int(),
  /** Present for videos only. */
  num_frames: z.int().exactOptional(),
  /** Frames a second; of videos alone. */
  fps: z.number().exactOptional(),
  guidance_scale: z.number(),
  /** Guidance scale of the second network, where there are two. */
  guidance_scale_2: z.number().exactOptional(),
  true_cfg_scale: z.number(),
  guidance_rescale: z.number(),
  /** Only for models whose guidance has limits. */
  cfg_normalization: z.number().exactOptional(),
  cfg_truncation: z.number().exactOptional(),
  /** Absent where there is none. */
  skip_layer_guidance: skipLayerSettingsSchema.exactOptional(),
  /** With an image alone. */
  strength: z.number().exactOptional(),
  /** With a mask alone. */
  mask_mode: z.enum(MASK_MODES).exactOptional(),
  mask_blur: z.number().exactOptional(),
  padding_mask_crop: z.int().exactOptional(),
  /** WIDTHxHEIGHT of the picture that the part is put back into; with `padding_mask_crop` alone. */
  picture_size: z.string().exactOptional(),
  /** SHA-256 (hex) of the file of the mask, for the edge to add. */
  mask_sha256: z.string().exactOptional(),
  /** SHA-256 (hex) of the image file, for the edge to add: the worker has seen it. */
  image_sha256: z.string().exactOptional(),
  ...controlSettings,
  /** SHA-256 (hex) of the control image's file, for the edge to add. */
  control_image_sha256: z.string().exactOptional(),
  /** The same of a video's last frame. */
  last_frame_sha256: z.string().exactOptional(),
  /** Number of references. Absent where there is none. */
  references: z.int().exactOptional(),
  /** SHA-256 (hex) of the files of the references, for the edge to add. */
  references_sha256: z.array(z.string()).exactOptional(),
  max_sequence_length: z.int(),
  /** Absent where the checkpoint's own scheduler runs. */
  scheduler: z.string().exactOptional(),
  scheduler_options: schedulerOptionsSchema.exactOptional(),
  /** These are true or absent. */
  prompt_weights: z.boolean().exactOptional(),
  long_prompts: z.boolean().exactOptional(),
  wildcards: z.boolean().exactOptional(),
  spectrum: spectrumSettingsSchema,
});
export type CompleteSettings = z.output<typeof completeSettingsSchema>;

/** The answer to an accepted POST /runs. */
export interface RunAccepted {
  id: string;
  /** Runs before this one; 0 starts at once. */
  position: number;
  /** Whether the worker writes the shared log. If not, the edge that submits the run has to follow it. */
  shared: boolean;
}
