// diffusers' FluxPipeline, FluxKontextPipeline and FluxFillPipeline: FLUX.1-dev, FLUX.1-schnell, FLUX.1
// Kontext, FLUX.1 Fill and every checkpoint of that architecture.
import { createSolver, linspace } from "../../../sampler/mod.ts";
import type { Family } from "../../pipeline/family.ts";
import { pictureDecoder } from "../../pipeline/latent_decoder.ts";
import { encodeFluxPrompt } from "./encode_flux_prompt.ts";
import { type FluxCheckpoint, readFluxCheckpoint } from "./flux_checkpoint.ts";
import { fluxFeeds } from "./flux_feeds.ts";
import { fillInput } from "./fill_input.ts";
import { kontextPicture } from "./kontext_references.ts";
import { countTokens, PATCH_PACKING } from "../../pipeline/patch_packing.ts";
import { fluxLoras } from "./flux_loras.ts";
import { fluxSigmas } from "../../pipeline/flux_sigmas.ts";
import { fluxSingleFile } from "./flux_single_file.ts";

const solverWithSigmas: Family<FluxCheckpoint>["solver"] = (
  { steps },
  { reading: { scheduler }, size, noise },
) => {
  const sigmas = [...linspace(1, 1 / steps, steps)];
  return createSolver(scheduler, { steps, sigmas, imageSeqLen: countTokens(size), noise });
};

export const fluxFamily: Family<FluxCheckpoint> = {
  read: readFluxCheckpoint,
  singleFile: fluxSingleFile,
  loras: fluxLoras,
  encodePrompt: encodeFluxPrompt,
  solver(request, options) {
    const { startImage, control, steps } = request;
    // FluxPipeline passes some schedulers no sigmas. The pipelines with an image pass them to all.
    if (startImage || control) return solverWithSigmas(request, options);
    const { reading: { scheduler }, size, noise } = options;
    const sigmas = fluxSigmas(scheduler, steps);
    return createSolver(scheduler, { steps, ...sigmas, imageSeqLen: countTokens(size), noise });
  },
  packing: PATCH_PACKING,
  feeds: fluxFeeds,
  controls: { rank: 3, sees: "latents", promptOnly: true },
  featureDims: ({ innerDim }, size) => [countTokens(size), innerDim],
  decoder: pictureDecoder,
};

// diffusers has no pipeline of the others with a ControlNet.
const { controls: _controls, ...plain } = fluxFamily;
const withoutControls: Family<FluxCheckpoint> = { ...plain, solver: solverWithSigmas };

/** FLUX.1 Kontext, which looks at an image. */
export const fluxKontextFamily: Family<FluxCheckpoint> = {
  ...withoutControls,
  referencePicture: (reference, { rules }) => kontextPicture(reference, rules.sizeMultiple),
  feeds: (runtime, options) =>
    fluxFeeds(runtime, { ...options, references: options.references ?? options.branches.map(() => []) }),
};

/** FLUX.1 Fill, whose transformer sees the mask and the masked image. */
export const fluxFillFamily: Family<FluxCheckpoint> = {
  ...withoutControls,
  maskInput: { arrange: fillInput, encodesAlways: true },
};
