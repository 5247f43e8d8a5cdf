// diffusers' QwenImage21Pipeline: Qwen-Image-2.1 and every checkpoint of that architecture, from text and
// images.
import { createSolver, linspace } from "../../../sampler/mod.ts";
import { originalNames } from "../../checkpoint/lora/original_names.ts";
import { toPlanes } from "../../media/decode_image.ts";
import type { Family } from "../../pipeline/family.ts";
import { qwenPictureDecoder } from "../../pipeline/qwen_picture.ts";
import { encodeQwenImage21Prompt } from "./encode_qwen_image21_prompt.ts";
import { type QwenImage21Checkpoint, readQwenImage21Checkpoint } from "./qwen_image21_checkpoint.ts";
import { qwenImage21Feeds } from "./qwen_image21_feeds.ts";
import { QWEN_IMAGE_21_PACKING } from "./qwen_image21_packing.ts";
import { referencePixels } from "./reference_pixels.ts";
import { QWEN_IMAGE_21_NAMES, qwenImage21SingleFile } from "./qwen_image21_single_file.ts";

export const qwenImage21Family: Family<QwenImage21Checkpoint> = {
  read: (checkpoint, dtype) => readQwenImage21Checkpoint(checkpoint, dtype),
  singleFile: qwenImage21SingleFile,
  // LoRAs for few steps have diffusers' own names without a prefix.
  loras: { originalNames: originalNames(QWEN_IMAGE_21_NAMES, { own: true }) },
  encodePrompt: encodeQwenImage21Prompt,
  solver({ steps }, { reading: { scheduler, sampleSigmas }, size, noise }) {
    // The checkpoint's own sigmas are for their number of steps. Otherwise those that
    // QwenImage21Pipeline passes.
    const sigmas = sampleSigmas?.length === steps ? [...sampleSigmas] : [...linspace(1, 1 / steps, steps)];
    return createSolver(scheduler, { steps, sigmas, imageSeqLen: size.height * size.width, noise });
  },
  packing: QWEN_IMAGE_21_PACKING,
  promptsSeeReferences: true,
  async referencePicture(reference, { sight, vaeConfig: { inChannels } }) {
    const { data, ...size } = await referencePixels(reference, sight!);
    return { ...size, data: toPlanes(data, inChannels) };
  },
  feeds: qwenImage21Feeds,
  featureDims: ({ innerDim }, size) => [size.height * size.width, innerDim],
  // Prompts are not padded and differ in length, so each branch is a call of its own, as in diffusers.
  separateBranches: true,
  decoder: qwenPictureDecoder,
};
