// The fields that decide a picture, as clients and workers spell them. Which sizes and options a checkpoint
// allows is the worker's to say; these schemas hold the types and the bounds that no checkpoint exceeds.
import { z } from "zod";
import { optional } from "./optional.ts";
import { spectrumFields } from "./sampler_fields.ts";
import { cleanText } from "./text.ts";

/** Most pictures of one request. */
export const MAX_IMAGES = 10;
const MAX_CHARACTERS = 32_000;

/** Skip-layer guidance of Stable Diffusion 3.5, as diffusers' skip_guidance_layers and its companions. */
const skipLayerFields = z.strictObject({
  layers: z.array(z.int().min(0).max(999)).min(1).max(1000),
  scale: optional(z.number().min(0).max(100)),
  start: optional(z.number().min(0).max(1)),
  stop: optional(z.number().min(0).max(1)),
});

/** Options of a scheduler, by diffusers' names. */
export const schedulerOptionsSchema = z.record(
  z.string().max(100),
  z.union([z.number(), z.boolean(), z.string().max(100), z.null(), z.array(z.number()).max(1000)]),
);

/** Shared by image requests and runs. */
export const generationFields = {
  prompt: z.string().min(1).max(MAX_CHARACTERS).transform(cleanText),
  negative_prompt: optional(z.string().max(MAX_CHARACTERS).transform(cleanText)),
  steps: optional(z.int().min(1).max(1000)),
  guidance_scale: optional(z.number().min(0).max(100)),
  guidance_scale_2: optional(z.number().min(0).max(100)),
  true_cfg_scale: optional(z.number().min(0).max(100)),
  guidance_rescale: optional(z.number().min(0).max(1)),
  /** Z-Image's limits of guidance. */
  cfg_normalization: optional(z.number().min(0).max(100)),
  cfg_truncation: optional(z.number().min(0).max(1)),
  skip_layer_guidance: optional(skipLayerFields),
  max_sequence_length: optional(z.int().min(1).max(4096)),
  scheduler: optional(z.string().max(100)).describe(
    "Class of diffusers to sample with in place of the checkpoint's, made from its config: " +
      "EulerDiscreteScheduler.",
  ),
  scheduler_options: optional(schedulerOptionsSchema).describe(
    'Options of that scheduler: {"use_karras_sigmas": true}.',
  ),
  prompt_weights: optional(z.boolean()).describe(
    "Whether (red:1.3), ((red)) and [blue] weigh words, as in AUTOMATIC1111's web UI. SD 1.x, 2.x and SDXL.",
  ),
  long_prompts: optional(z.boolean()).describe(
    "Whether a prompt of more than 77 tokens is read in chunks instead of cut. With prompt_weights, the " +
      "word BREAK begins a chunk. SD 1.x, 2.x and SDXL.",
  ),
  wildcards: optional(z.boolean()).describe("Whether {red|blue} is one of both. The seed chooses."),
  spectrum: optional(spectrumFields),
};

/** Share of an image that is drawn anew. */
export const strengthField = optional(z.number().min(0).max(1));

/**
 * How a mask marks the places to draw anew: by transparency, as OpenAI's masks do, or by white or black as
 * those of most other programs.
 */
export const MASK_MODES = ["alpha", "white", "black"] as const;
export type MaskMode = typeof MASK_MODES[number];
export const maskModeField = optional(z.enum(MASK_MODES));

/** Pixels around the masked area that are drawn with it, at the model's full size. */
export const paddingMaskCropField = optional(z.int().min(0).max(4096));

/** How a control image steers a run. The image itself is a field of its own. */
export const controlFields = {
  controlnet: optional(z.string().max(256)).describe(
    "Name of one of the model's ControlNets. May be left out if it has one.",
  ),
  control_scale: optional(z.number().min(0).max(10)).describe("Strength of the ControlNet. Default 1."),
  control_start: optional(z.number().min(0).max(1)).describe(
    "Share of the steps before the ControlNet begins. Default 0.",
  ),
  control_end: optional(z.number().min(0).max(1)).describe(
    "Share of the steps after which the ControlNet has ended. Default 1.",
  ),
  control_mode: optional(z.int().min(0).max(999)).describe(
    "Kind of the control image, for a union of ControlNets.",
  ),
};

/** Standard deviation, in pixels of the picture, of the blur of a mask. */
export const maskBlurField = optional(z.number().min(0).max(64));

/** Whole numbers that JSON carries exactly. */
export const seedField = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

/** Creates the schema of a seed that a client may leave open: absent, null and -1 ask for a drawn one. */
export function openSeed(max: number = Number.MAX_SAFE_INTEGER) {
  return z.int().min(-1).max(max).nullish().transform((value) =>
    value === -1 ? undefined : value ?? undefined
  );
}

/** Address of a webhook. */
export const webhookField = optional(
  z.url({ protocol: /^https?$/, error: "an http or https URL" }).max(2000),
);

export const outputFormat = z.enum(["png", "jpeg", "webp"]);
export type OutputFormat = z.output<typeof outputFormat>;
/** A WebP of a video is animated. */
export const videoFormat = z.enum(["mp4", "webp", "gif"]);
export type VideoFormat = z.output<typeof videoFormat>;

/** Media types of results. */
export const CONTENT_TYPES: Readonly<Record<OutputFormat | VideoFormat, string>> = {
  png: "image/png",
  jpeg: "image/jpeg",
  webp: "image/webp",
  gif: "image/gif",
  mp4: "video/mp4",
};

/** Fields of videos alone. Each checkpoint says which lengths it makes. */
export const videoFields = {
  num_frames: optional(z.int().min(1).max(9999)),
  /** Frames a second. */
  fps: optional(z.number().min(1).max(120)),
  /** In place of num_frames: the nearest length that the checkpoint makes. */
  seconds: optional(z.number().min(0).max(600)),
};

/** Quality of JPEG and WebP. PNG is lossless whatever it says. */
export const outputCompression = z.int().min(0).max(100);
