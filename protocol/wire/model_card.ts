// GET /models of a worker: what it serves.
import { z } from "zod";
import { completeSettingsSchema } from "./run_request.ts";

export const modelCardSchema = z.object({
  id: z.string().describe("The name that requests use: 'models/emoji', 'ORG/NAME'."),
  pipeline_class: z.string().describe("diffusers' pipeline class, e.g. 'FluxPipeline'."),
  title: z.string().exactOptional()
    .describe(
      "Usual name of the model in a single file, e.g. 'Stable Diffusion XL'. Absent from folders.",
    ),
  digest: z.string().describe(
    "Identifies all that decides a picture beside its request: weights, configs, LoRAs, device, type. Hex.",
  ),
  weights: z.enum(["int8", "int4"]).exactOptional().describe(
    "How linear layers hold their weights. Absent if they are as the checkpoint stores them.",
  ),
  sampler_version: z.string().describe("Changes whenever the same request would give other pixels."),
  device: z.string().exactOptional().describe(
    "Provider and name of the device that runs it, if they are known.",
  ),
  /** Whether its weights are in memory now. */
  loaded: z.boolean(),
  names: z.array(z.string()).readonly().exactOptional()
    .describe("Prompts it knows by heart, if the checkpoint lists them."),
  defaults: completeSettingsSchema.omit({ prompt: true, seed: true })
    .describe("Defaults of a request that names no settings."),
  calibration: z.object({
    steps: z.int().describe("Steps of the runs that it was recorded in."),
    psnr: z.record(z.string(), z.record(z.string(), z.number())).describe(
      "Number of steps -> number of full passes -> PSNR in dB against all steps in full, " +
        "on prompts kept for that.",
    ),
    full_steps: z.record(z.string(), z.record(z.string(), z.array(z.int()).readonly())).exactOptional()
      .describe(
        "Number of steps -> number of full passes -> which steps are full, by their indices. " +
          "Workers of earlier versions lack it.",
      ),
  }).exactOptional().describe(
    "Data of method calibrated, `passes` and `quality`. Absent without a calibration.",
  ),
  limits: z.object({
    size_multiple: z.int().describe("Width and height must be whole multiples of this many pixels."),
    max_side: z.int().describe("Longest side in pixels."),
    max_pixels: z.int().describe("Largest width times height."),
    max_sequence_length: z.int().describe("Longest T5 prompt in tokens."),
  }).describe("The model refuses a request that exceeds them."),
  guidance: z.enum(["cfg", "distilled", "none"]).describe(
    "Meaning of guidance_scale: classifier-free guidance, an input of the network, " +
      "or nothing (true_cfg_scale guides then).",
  ),
  schedulers: z.array(z.string()).readonly().exactOptional().describe(
    "Classes that the field `scheduler` may name without options. The first is the model's own.",
  ),
  prompt_weights: z.boolean().exactOptional().describe(
    "Whether the fields `prompt_weights` and `long_prompts` may be set.",
  ),
  sizes: z.object({
    native: z.string().describe("WIDTHxHEIGHT that it was made for."),
    smallest_side: z.int(),
    largest_side: z.int(),
    largest_pixels: z.int().describe("Largest width times height."),
    multiple: z.int().describe("Width and height are whole multiples of this many pixels."),
  }).describe("The sizes that it draws well, in pixels. It takes others within its limits, with a warning."),
  video: z.object({
    frame_step: z.int().describe("Videos have a multiple of so many frames, plus 1."),
    min_frames: z.int().exactOptional().describe("Absent: 1."),
    max_frames: z.int(),
    first_frame: z.enum(["required", "optional"]).exactOptional().describe(
      "Whether a video needs a first frame (`input_reference`) or takes one. Absent: the model takes none.",
    ),
    last_frame: z.enum(["required", "optional"]).exactOptional().describe(
      "The same of a last frame (`last_frame`).",
    ),
  }).exactOptional()
    .describe("The videos that it makes, by POST /v1/videos. Absent from a model that makes pictures."),
  start_image: z.object({
    strength: z.number().describe("Default of a request."),
    mask_strength: z.number().describe("The same of a request with a mask."),
    partial_step: z.enum(["run", "skip"])
      .describe("Whether a step of which 'strength' asks for a part is run."),
  }).exactOptional()
    .describe("How a run starts from an image. Absent from a model that draws from text alone."),
  controlnets: z.array(z.object({
    name: z.string(),
    modes: z.int().exactOptional().describe(
      "Number of kinds of control images that a union reads: control_mode is 0 to one less.",
    ),
  })).readonly().exactOptional().describe("What `controlnet` may name. Absent without ControlNets."),
  references: z.object({
    min: z.int().describe("0: the model draws from text too."),
    max: z.int(),
  }).exactOptional().describe(
    "How many images the model looks at while it draws. `image` of POST /v1/images/edits then holds them. " +
      "Absent from a model that takes none.",
  ),
});

export type ModelCard = z.output<typeof modelCardSchema>;
