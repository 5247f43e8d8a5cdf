// diffusers' QwenImagePipeline: Qwen-Image, Qwen-Image-2512 and every checkpoint of that
// architecture, from text.
import { createSolver, linspace } from "../../../sampler/mod.ts";
import { originalNames } from "../../checkpoint/lora/original_names.ts";
import type { Family } from "../../pipeline/family.ts";
import { qwenPictureDecoder } from "../../pipeline/qwen_picture.ts";
import { countTokens, PATCH_PACKING } from "../../pipeline/patch_packing.ts";
import { encodeQwenImagePrompt } from "./encode_qwen_image_prompt.ts";
import { normGuidance } from "./norm_guidance.ts";
import { type QwenImageCheckpoint, readQwenImageCheckpoint } from "./qwen_image_checkpoint.ts";
import { qwenImageFeeds } from "./qwen_image_feeds.ts";
import { qwenImageSingleFile } from "./qwen_image_single_file.ts";

export const qwenImageFamily: Family<QwenImageCheckpoint> = {
  read: readQwenImageCheckpoint,
  singleFile: qwenImageSingleFile,
  // The original names are diffusers\' own. LoRAs for few steps have no prefix before them.
  loras: { originalNames: originalNames({}, { own: true }) },
  encodePrompt: encodeQwenImagePrompt,
  solver({ steps }, { reading: { scheduler }, size, noise }) {
    // The sigmas that QwenImagePipeline passes.
    const sigmas = [...linspace(1, 1 / steps, steps)];
    return createSolver(scheduler, { steps, sigmas, imageSeqLen: countTokens(size), noise });
  },
  packing: PATCH_PACKING,
  feeds: qwenImageFeeds,
  featureDims: ({ innerDim }, size) => [countTokens(size), innerDim],
  // Prompts are not padded and differ in length, so each branch is a call of its own, as in diffusers.
  separateBranches: true,
  guide: ({ trueCfgScale: scale }, { outChannels: features }) => normGuidance({ scale, features }),
  decoder: qwenPictureDecoder,
};
