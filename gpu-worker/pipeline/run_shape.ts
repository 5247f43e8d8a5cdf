// What a model and a request decide of a run before anything is loaded: shapes, solver, phases.
import { ONE_PHASE, type Phases, type Solver } from "../../sampler/mod.ts";
import type { GenerateRequest } from "../request/generate_request.ts";
import { guidanceBranches } from "../request/guidance_branches.ts";
import type { RequestDefaults } from "../request/request_defaults.ts";
import { latentsOf, type VideoSize } from "../vae/video_size.ts";
import type { Family, FamilyReading } from "./family.ts";

/** A family and its reading of a checkpoint. */
export interface ReadFamily {
  family: Family;
  reading: FamilyReading;
}

/** Returns the shape of the latents that the denoiser works on. */
export function denoisedDims(
  { family: { packing }, reading: { rules } }: ReadFamily,
  size: VideoSize,
): number[] {
  const { channels, frames, height, width } = size;
  if (packing) return packing.dims(size);
  return rules.video ? [channels, frames, height, width] : [channels, height, width];
}

/** Counts the elements of one picture's or video's feature, over all branches. */
export function featureElements(
  { family, reading: { config, latentScale, rules } }: ReadFamily,
  request: Omit<RequestDefaults, "sampler">,
): number {
  const dims = family.featureDims(config, latentsOf(latentScale, request));
  return dims.reduce((product, dim) => product * dim, guidanceBranches(request, rules));
}

/** Returns a solver of a run's whole schedule, whose noise is zero. */
export function solverOf({ family, reading }: ReadFamily, request: GenerateRequest): Solver {
  const size = latentsOf(reading.latentScale, request);
  return family.solver(request, { reading, size, noise: (count) => new Float32Array(count) });
}

/** Returns the first steps of the networks that take turns in a run. */
export function phasesOf(model: ReadFamily, request: GenerateRequest): Phases {
  const { family, reading } = model;
  if (family.stages === undefined) return ONE_PHASE;
  const { timesteps } = solverOf(model, request);
  return family.stages(timesteps, reading).map(({ start }) => start);
}
