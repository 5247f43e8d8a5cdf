// POST /runs of a worker: one run makes one picture, so that pictures of one request can come from the cache,
// from runs of others and from several workers.
import { z } from "zod";
import {
  generationFields,
  optional,
  outputCompression,
  outputFormat,
  seedField,
  strengthField,
} from "./generation_fields.ts";

/** Largest image file to start from. */
export const MAX_IMAGE_BYTES = 8 * 2 ** 20;
const MAX_IMAGE_CHARACTERS = Math.ceil(MAX_IMAGE_BYTES / 3) * 4;
/** Room for a run request with the largest image. */
export const MAX_RUN_BYTES = MAX_IMAGE_CHARACTERS + 256 * 1024;

export const runRequestSchema = z.strictObject({
  ...generationFields,
  model: z.string().max(256),
  seed: seedField,
  /** Image file to start from, in base64. */
  image: optional(z.string().max(MAX_IMAGE_CHARACTERS)),
  strength: strengthField,
  /** Pixels; which ones a checkpoint takes is its own to say. */
  width: optional(z.int().min(0).max(99_999)),
  /** Pixels. */
  height: optional(z.int().min(0).max(99_999)),
  /** How many previews to emit on the way. */
  previews: z.int().min(0).max(3).default(0),
  output_format: outputFormat.default("png"),
  output_compression: outputCompression.default(100),
});

/** As a worker reads it. */
export type RunRequest = z.output<typeof runRequestSchema>;
/** As an edge sends it: what is open is left out. */
export type OpenRunRequest = z.input<typeof runRequestSchema>;

/** What decides the pixels: a run request with every default of its checkpoint filled in. */
export interface CompleteSettings {
  prompt: string;
  negative_prompt: string;
  seed: number;
  steps: number;
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
  guidance_scale: number;
  true_cfg_scale: number;
  guidance_rescale: number;
  /** Absent where there is none. */
  skip_layer_guidance?: SkipLayerGuidance;
  /** With an image alone. */
  strength?: number;
  /** SHA-256 (hex) of the image file, for the edge to add: the worker has seen it. */
  image_sha256?: string;
  max_sequence_length: number;
  spectrum: SpectrumOptions;
}

/** Skip-layer guidance in full. */
export interface SkipLayerGuidance {
  layers: readonly number[];
  scale: number;
  start: number;
  stop: number;
}

/** Sampler options in full. */
export interface SpectrumOptions {
  method: "none" | "spectrum" | "taylorseer" | "reuse";
  w: number;
  m: number;
  lam: number;
  window_size: number;
  flex_window: number;
  warmup_steps: number;
  order: number;
}

/** The answer to an accepted POST /runs. */
export interface RunAccepted {
  id: string;
  /** Runs before this one; 0 starts at once. */
  position: number;
}
