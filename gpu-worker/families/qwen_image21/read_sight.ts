// Reads the parts of a Qwen-Image-2.1 checkpoint that look at references: the text encoder's vision tower,
// the image processor and the autoencoder's encoder.
import type { Checkpoint, Component } from "../../checkpoint/checkpoint.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { parseQwenImageInputs, type QwenImageInputs } from "../../graph/text_encoders/qwen_config.ts";
import {
  parseQwenVisionConfig,
  type QwenVisionConfig,
} from "../../graph/vision_encoders/qwen_vision_config.ts";
import type { WanVaeConfig } from "../../graph/wan_vae/wan_vae_config.ts";
import type { ImageProcessorConfig } from "../../text/qwen_vision/image_processor.ts";
import { readImageProcessor } from "../../text/qwen_vision/read_image_processor.ts";

/** How a checkpoint looks at references. */
export interface Sight {
  inputs: QwenImageInputs;
  vision: QwenVisionConfig;
  processor: ImageProcessorConfig;
  /** Pixels of a reference, and of the picture if the request names no size. */
  area: number;
}

export interface ReadSightOptions {
  qwen: Component;
  vae: Component;
  vaeConfig: WanVaeConfig;
  /** Latents a side that one token of the text encoder stands for. */
  slot: number;
  area: number;
}

/** The text encoder's architecture. */
export const QWEN_IMAGE_21_ENCODER = "qwen3_vl";
/** Red, green, blue and opacity: the pipeline gives the autoencoder four channels. */
const CHANNELS = 4;
const FOLDER = "processor";

/** A sight, or the part that is missing for one, as files for text alone may lack some. */
export type FoundSight = { sight: Sight; lacks?: never } | { sight?: never; lacks: string };

/**
 * Reads and checks the parts.
 * @throws {CheckpointError} if a part is damaged or unsupported.
 */
export function readSight(
  checkpoint: Checkpoint,
  { qwen, vae, vaeConfig, slot, area }: ReadSightOptions,
): FoundSight {
  const hasProcessor = ["preprocessor_config.json", "processor_config.json"].some((file) =>
    checkpoint.has(FOLDER, file)
  );
  if (!hasProcessor) return { lacks: `image processor (${FOLDER}/preprocessor_config.json)` };
  if (![...qwen.weights.keys()].some((name) => /(^|\.)visual\./.test(name))) {
    return { lacks: `vision tower in its ${qwen.name}` };
  }
  const hasEncoder = vaeConfig.hasEncoder && vae.weights.has("encoder.conv_in.weight");
  if (!hasEncoder || vaeConfig.inChannels !== CHANNELS) {
    return { lacks: `encoder of ${CHANNELS} channels in its autoencoder` };
  }
  const path = `${qwen.name}/config.json`;
  const inputs = parseQwenImageInputs(qwen.config, { architecture: QWEN_IMAGE_21_ENCODER, name: qwen.name });
  const vision = parseQwenVisionConfig(inputs.vision, { architecture: QWEN_IMAGE_21_ENCODER, path });
  const [seen, taken] = [vision.patchSize * vision.mergeSize, slot * vaeConfig.spatialScale];
  if (seen !== taken) {
    throw new CheckpointError(
      `Cannot use ${path} as 'patch_size' * 'spatial_merge_size' of 'vision_config' must be the pixels of ` +
        `${slot} latents (${taken}): current value is ${seen}`,
    );
  }
  const processor = readImageProcessor(checkpoint, { folder: FOLDER, vision });
  return { sight: { inputs, vision, processor, area } };
}
