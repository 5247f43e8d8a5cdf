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
  names: z.array(z.string()).readonly().exactOptional()
    .describe("Prompts it knows by heart, if the checkpoint lists them."),
  defaults: completeSettingsSchema.omit({ prompt: true, seed: true }).exactOptional()
    .describe("What a request that leaves everything open gets; known once the model has been loaded."),
});

export type ModelCard = z.output<typeof modelCardSchema>;
