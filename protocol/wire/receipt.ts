// The receipt of a result: how it was made.
import { z } from "zod";
import { MASK_MODES, schedulerOptionsSchema } from "./generation_fields.ts";
import { controlSettings, skipLayerSettingsSchema } from "./run_request.ts";
import { spectrumSettingsSchema } from "./sampler_fields.ts";

const indices = z.array(z.int().min(0)).readonly();

export const receiptSchema = z.object({
  model: z.string(),
  model_digest: z.string().describe(
    "Identifies all that decides a picture beside its request: weights, configs, LoRAs, device, type. Hex.",
  ),
  weights: z.enum(["int8", "int4"]).exactOptional().describe(
    "How linear layers hold their weights. Absent if they are as the checkpoint stores them.",
  ),
  seed: z.int(),
  steps: z.int(),
  width: z.int(),
  height: z.int(),
  num_frames: z.int().exactOptional().describe("Only of videos."),
  fps: z.number().exactOptional().describe("Frames a second; of videos alone."),
  method: spectrumSettingsSchema.shape.method,
  options: spectrumSettingsSchema.omit({ method: true, full_steps: true }).extend({
    guidance_scale: z.number(),
    guidance_scale_2: z.number().exactOptional(),
    true_cfg_scale: z.number(),
    guidance_rescale: z.number(),
    cfg_normalization: z.number().exactOptional(),
    cfg_truncation: z.number().exactOptional(),
    skip_layer_guidance: skipLayerSettingsSchema.exactOptional(),
    strength: z.number().exactOptional(),
    mask_mode: z.enum(MASK_MODES).exactOptional(),
    mask_blur: z.number().exactOptional(),
    padding_mask_crop: z.int().exactOptional(),
    picture_size: z.string().exactOptional().describe(
      "WIDTHxHEIGHT of the picture, where a part of it was drawn in `width` x `height` and put back.",
    ),
    ...controlSettings,
    references: z.int().exactOptional().describe("Number of images that the model looked at."),
    scheduler: z.string().exactOptional(),
    scheduler_options: schedulerOptionsSchema.exactOptional(),
    prompt_weights: z.boolean().exactOptional(),
    long_prompts: z.boolean().exactOptional(),
    wildcards: z.boolean().exactOptional(),
  }).describe("All that decided the picture besides prompt, seed and size."),
  prompt: z.string().exactOptional().describe("The prompt that wildcards and the seed have given."),
  negative_prompt: z.string().exactOptional(),
  full_steps: indices.describe("0-based indices of the steps that ran the whole network."),
  forecast_steps: indices.describe("0-based indices of the steps that were forecast."),
  note: z.string().exactOptional().describe("Why a run of few steps has no forecasts."),
  forecast_errors: z.record(z.string(), z.number()).describe(
    "Step index -> relative error that a forecast would have made there; measured at full steps.",
  ),
  calibration: z.object({
    digest: z.string().describe("SHA-256 of the calibration's file. Hex."),
    predicted_errors: z.record(z.string(), z.number()).describe(
      "Step index -> relative forecast error that the calibration predicts there, beside `forecast_errors`.",
    ),
    psnr: z.number().exactOptional().describe(
      "PSNR in dB that this plan reached on the calibration's validation prompts.",
    ),
    fallback: z.string().exactOptional().describe(
      "Why the run used Spectrum's published window instead of the calibration.",
    ),
  }).exactOptional().describe("Only of runs that asked for method calibrated."),
  batch: z.int().exactOptional().describe("Pictures that were made together, if more than this one."),
  dropped_tokens: z.int().exactOptional().describe(
    "Tokens at the prompt's end that no text encoder has read, if any.",
  ),
  warnings: z.array(z.string()).exactOptional().describe(
    "Sentences about what is not as asked for or likely to be wrong. Absent where there is nothing to say.",
  ),
  seconds: z.object({
    queue: z.number(),
    encode: z.number(),
    denoise: z.number(),
    decode: z.number(),
    total: z.number(),
  }).describe(
    "Wall time of the run that made the picture; `total` is from acceptance to the encoded picture.",
  ),
  cache: z.enum(["hit", "joined", "miss"]).describe(
    "Whether this answer came from the result store, or from a run that somebody else had begun.",
  ),
  worker: z.string().describe("Name of the worker that made it."),
  device: z.string().exactOptional().describe(
    "Device of that worker: its provider and name, if they are known.",
  ),
});

export type Receipt = z.output<typeof receiptSchema>;
