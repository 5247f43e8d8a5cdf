// diffusers' StableDiffusionPipeline and StableDiffusionXLPipeline, from text or from an image: Stable
// Diffusion 1.x, 2.x and SDXL. They differ only in how their checkpoints are read.
import { createSolver } from "../../../sampler/mod.ts";
import type { Family } from "../../pipeline/family.ts";
import { pictureDecoder } from "../../pipeline/latent_decoder.ts";
import { encodeUnetPrompt, zeroPrompt } from "./encode_unet_prompt.ts";
import { readSdCheckpoint } from "./sd_checkpoint.ts";
import { readSdxlCheckpoint } from "./sdxl_checkpoint.ts";
import type { UNetCheckpoint } from "./unet_checkpoint.ts";
import { unetFeeds } from "./unet_feeds.ts";
import { unetMaskInput } from "./unet_mask_input.ts";
import { unetLoras } from "./unet_loras.ts";
import { sdSingleFile, sdxlSingleFile } from "./unet_single_file.ts";

export const sdFamily: Family<UNetCheckpoint> = {
  read: readSdCheckpoint,
  singleFile: sdSingleFile,
  loras: unetLoras,
  encodePrompt: encodeUnetPrompt,
  // An empty negative prompt counts as missing. diffusers distinguishes None from "".
  emptyNegative: (positive, { zeroNegative }) => zeroNegative ? zeroPrompt(positive) : undefined,
  solver: ({ steps }, { reading: { scheduler }, noise }) => createSolver(scheduler, { steps, noise }),
  maskInput: { arrange: unetMaskInput, encodesAlways: false },
  feeds: unetFeeds,
  featureDims: ({ channels }, { height, width }) => [channels, height, width],
  channelsFirst: true,
  controls: { rank: 4, sees: "pixels" },
  decoder: pictureDecoder,
};

export const sdxlFamily: Family<UNetCheckpoint> = {
  ...sdFamily,
  read: readSdxlCheckpoint,
  singleFile: sdxlSingleFile,
};
