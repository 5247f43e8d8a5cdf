// GET /models of a worker: what it serves.
import { z } from "zod";
import { completeSettingsSchema } from "./run_request.ts";

export const modelCardSchema = z.object({
  id: z.string().describe("The name that requests use: 'models/emoji', 'ORG/NAME'."),
  pipeline_class: z.string().describe("diffusers' pipeline class, e.g. 'FluxPipeline'."),
  digest: z.string().describe("Identifies the weights and configs, hex."),
  sampler_version: z.string().describe("Changes whenever the same request would give other pixels."),
  /** Whether its weights are in memory now. */
  loaded: z.boolean(),
  videos: z.boolean().describe("Whether it makes videos, by POST /v1/videos, rather than pictures."),
  names: z.array(z.string()).readonly().exactOptional()
    .describe("Prompts it knows by heart, if the checkpoint lists them."),
  defaults: completeSettingsSchema.omit({ prompt: true, seed: true }).exactOptional()
    .describe("What a request that leaves everything open gets; known once the model has been loaded."),
  video: z.object({
    frame_step: z.int().describe("Videos have a multiple of so many frames, plus 1."),
    max_frames: z.int(),
  }).exactOptional()
    .describe("What videos it makes; known once it has been loaded, absent where it makes pictures."),
  start_image: z.object({
    strength: z.number().describe("What a request that leaves it open gets."),
    partial_step: z.enum(["run", "skip"])
      .describe("Whether a step of which 'strength' asks for a part is run."),
  }).exactOptional()
    .describe("How a run starts from an image; known once it has been loaded, absent where it cannot."),
});

export type ModelCard = z.output<typeof modelCardSchema>;
