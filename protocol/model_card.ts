// GET /models of a worker: what it serves.
import type { CompleteSettings } from "./run_request.ts";

export interface ModelCard {
  /** The name that requests use: "models/emoji", "ORG/NAME". */
  id: string;
  /** diffusers' pipeline class, e.g. "FluxPipeline". */
  pipeline_class: string;
  /** Identifies the weights and configs, hex. */
  digest: string;
  /** Changes whenever the same request would give other pixels. */
  sampler_version: string;
  /** Whether its weights are in memory now. */
  loaded: boolean;
  /** Prompts it knows by heart, if the checkpoint lists them. */
  names?: readonly string[];
  /** What a request that leaves everything open gets; known once it has been loaded. */
  defaults?: Omit<CompleteSettings, "prompt" | "seed">;
}
