// diffusers' Flux2KleinPipeline: FLUX.2 klein base, FLUX.2 klein and every checkpoint of that
// architecture, from text and images.
import { createSolver } from "../../../sampler/mod.ts";
import type { Family } from "../../pipeline/family.ts";
import { fluxSigmas } from "../../pipeline/flux_sigmas.ts";
import { pictureDecoder } from "../../pipeline/latent_decoder.ts";
import { empiricalMu } from "./empirical_mu.ts";
import { encodeFlux2Prompt } from "./encode_flux2_prompt.ts";
import { type Flux2Checkpoint, readFlux2Checkpoint } from "./flux2_checkpoint.ts";
import { flux2Feeds } from "./flux2_feeds.ts";
import { countTokens, FLUX2_PACKING } from "./flux2_latents.ts";
import { flux2Picture } from "./flux2_references.ts";
import { flux2OriginalNames } from "./flux2_names.ts";
import { flux2SingleFile } from "./flux2_single_file.ts";

export const flux2KleinFamily: Family<Flux2Checkpoint> = {
  read: readFlux2Checkpoint,
  singleFile: flux2SingleFile,
  loras: { originalNames: flux2OriginalNames, readsLokr: true },
  encodePrompt: encodeFlux2Prompt,
  solver({ steps }, { reading: { scheduler }, size, noise }) {
    const sigmas = fluxSigmas(scheduler, steps);
    return createSolver(scheduler, { steps, ...sigmas, mu: empiricalMu(countTokens(size), steps), noise });
  },
  packing: FLUX2_PACKING,
  referencePicture: flux2Picture,
  feeds: flux2Feeds,
  featureDims: ({ innerDim }, size) => [countTokens(size), innerDim],
  decoder: pictureDecoder,
};
