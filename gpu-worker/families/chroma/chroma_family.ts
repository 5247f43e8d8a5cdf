// diffusers' ChromaPipeline: Chroma1-HD and every checkpoint of that architecture, from text.
import { createSolver, linspace } from "../../../sampler/mod.ts";
import { fluxDropRules } from "../../checkpoint/lora/flux_drop_rules.ts";
import type { Family } from "../../pipeline/family.ts";
import { pictureDecoder } from "../../pipeline/latent_decoder.ts";
import { countTokens, PATCH_PACKING } from "../../pipeline/patch_packing.ts";
import { type ChromaCheckpoint, readChromaCheckpoint } from "./chroma_checkpoint.ts";
import { chromaFeeds } from "./chroma_feeds.ts";
import { encodeChromaPrompt } from "./encode_chroma_prompt.ts";
import { chromaOriginalNames } from "./chroma_names.ts";
import { chromaSingleFile } from "./chroma_single_file.ts";

/**
 * The ChromaPipeline family. diffusers calls the network once for each branch; here the branches are rows of
 * one call, each with its own history.
 */
export const chromaFamily: Family<ChromaCheckpoint> = {
  read: readChromaCheckpoint,
  singleFile: chromaSingleFile,
  loras: { originalNames: chromaOriginalNames, dropRules: fluxDropRules },
  encodePrompt: encodeChromaPrompt,
  solver({ steps }, { reading: { scheduler }, size, noise }) {
    // The sigmas that ChromaPipeline passes.
    const sigmas = [...linspace(1, 1 / steps, steps)];
    return createSolver(scheduler, { steps, sigmas, imageSeqLen: countTokens(size), noise });
  },
  packing: PATCH_PACKING,
  feeds: chromaFeeds,
  featureDims: ({ innerDim }, size) => [countTokens(size), innerDim],
  decoder: pictureDecoder,
};
