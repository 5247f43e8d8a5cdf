// diffusers' ZImagePipeline: Z-Image, Z-Image-Turbo and every checkpoint of that
// architecture, from text or from an image.
import { createSolver, torchLinspace } from "../../../sampler/mod.ts";
import { guideBranches } from "../../denoiser/guide_branches.ts";
import type { Family } from "../../pipeline/family.ts";
import { pictureDecoder } from "../../pipeline/latent_decoder.ts";
import { cfgScale } from "../../request/guidance_branches.ts";
import { encodeZImagePrompt } from "./encode_z_image_prompt.ts";
import { limitGuidance } from "./limit_guidance.ts";
import { readZImageCheckpoint, Z_IMAGE_GUIDANCE, type ZImageCheckpoint } from "./z_image_checkpoint.ts";
import { risingTimestep, zImageFeeds, zImageGrid } from "./z_image_feeds.ts";
import { zImageLoras } from "./z_image_loras.ts";
import { zImageSingleFile } from "./z_image_single_file.ts";

export const zImageFamily: Family<ZImageCheckpoint> = {
  read: readZImageCheckpoint,
  singleFile: zImageSingleFile,
  loras: zImageLoras,
  encodePrompt: encodeZImagePrompt,
  solver({ steps }, { reading: { scheduler }, size, noise }) {
    const [rows, columns] = zImageGrid(size);
    // get_default_z_image_sigmas.
    const sigmas = [...torchLinspace(1, 1 / steps, steps)];
    return createSolver(scheduler, { steps, sigmas, imageSeqLen: rows * columns, noise });
  },
  feeds: zImageFeeds,
  featureDims: ({ dim }, size) => [...zImageGrid(size), dim],
  // Prompts are not padded to one length, so each branch is a call of its own.
  separateBranches: true,
  guide(request) {
    const { cfgNormalization: limit = 0 } = request;
    const scale = cfgScale(request, Z_IMAGE_GUIDANCE);
    return limit > 0
      ? (outputs) => limitGuidance(guideBranches(outputs, scale), { outputs, limit })
      : undefined;
  },
  guidesStep: ({ cfgTruncation = 1 }, timestep) => risingTimestep(timestep) <= cfgTruncation,
  decoder: pictureDecoder,
};
