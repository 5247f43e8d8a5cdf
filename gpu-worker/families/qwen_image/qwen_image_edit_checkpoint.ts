// Reads a Qwen-Image-Edit checkpoint: what a Qwen-Image checkpoint has, a vision tower and an image
// processor.
import { assertFit } from "../../checkpoint/assert_fit.ts";
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { requestDefaults } from "../../checkpoint/stored_defaults.ts";
import type { OnnxModel } from "../../graph/graph_builder.ts";
import { parseQwenImageInputs, type QwenImageInputs } from "../../graph/text_encoders/qwen_config.ts";
import { qwenEncoderGraph } from "../../graph/text_encoders/qwen_encoder.ts";
import {
  parseQwenVisionConfig,
  type QwenVisionConfig,
} from "../../graph/vision_encoders/qwen_vision_config.ts";
import { qwenVisionEncoderGraph } from "../../graph/vision_encoders/qwen_vision_encoder.ts";
import { wanVaePictureGraph } from "../../graph/wan_vae/wan_vae_decoder.ts";
import { wanVaeEncoderGraph } from "../../graph/wan_vae/wan_vae_encoder.ts";
import { MAX_REFERENCES } from "../../../protocol/wire/run_request.ts";
import { brokenProportions, sizeOfArea } from "../../text/qwen_vision/reference_sizes.ts";
import type { DType } from "../../runtime/dtype.ts";
import type { ImageProcessorConfig } from "../../text/qwen_vision/image_processor.ts";
import { towerSize } from "../../text/qwen_vision/tower_size.ts";
import { readImageProcessor } from "../../text/qwen_vision/read_image_processor.ts";
import { QWEN_IMAGE_ENCODER, type QwenImageCheckpoint, readQwenImageParts } from "./qwen_image_checkpoint.ts";
import { qwenImageTransformerGraphs } from "./qwen_image_transformer.ts";

/** The differences between the pipeline classes. */
export interface EditPipeline {
  /** Pixels of a reference as the text encoder sees it. */
  conditionArea: number;
  /** Pixels of a reference as the autoencoder sees it, and of the picture if the request names no size. */
  pictureArea: number;
  /** Most references of a request. */
  maxReferences: number;
  /** Whether references have numbers in the prompt: "Picture 1: ". */
  numbered: boolean;
}

const AREA = 1024 * 1024;

/** QwenImageEditPipeline. */
export const EDIT: EditPipeline = {
  conditionArea: AREA,
  pictureArea: AREA,
  maxReferences: 1,
  numbered: false,
};

/** QwenImageEditPlusPipeline, which limits the number of references nowhere. */
export const EDIT_PLUS: EditPipeline = {
  conditionArea: 384 * 384,
  pictureArea: AREA,
  maxReferences: MAX_REFERENCES,
  numbered: true,
};

export interface QwenImageEditCheckpoint extends QwenImageCheckpoint {
  edit: EditPipeline;
  inputs: QwenImageInputs;
  vision: QwenVisionConfig;
  processor: ImageProcessorConfig;
  buildGraphs(): Record<
    "qwen" | "visionEncoder" | "trunk" | "head" | "modulation" | "vae" | "vaeEncoder",
    OnnxModel
  >;
}

/** The pipelines' defaults. They cut no prompt; here a prompt has a limit. */
const PRESET = {
  steps: 50,
  guidanceScale: 0,
  trueCfgScale: 4,
  maxSequenceLength: 1024,
  sampler: {},
};

/**
 * Reads and checks the checkpoint.
 * @throws {CheckpointError} if a component is missing, damaged or unsupported.
 */
export function readQwenImageEditCheckpoint(
  checkpoint: Checkpoint,
  dtype: DType,
  edit: EditPipeline,
): QwenImageEditCheckpoint {
  const { transformer, vae, qwen, ...parts } = readQwenImageParts(checkpoint);
  const { vaeConfig, rules, config } = parts;
  if (!vaeConfig.hasEncoder) {
    throw new CheckpointError(
      `Cannot use ${checkpoint.folder} as the autoencoder must have an encoder for references: it has none`,
    );
  }
  const path = `${qwen.name}/config.json`;
  const inputs = parseQwenImageInputs(qwen.config, { architecture: QWEN_IMAGE_ENCODER, name: qwen.name });
  const vision = parseQwenVisionConfig(inputs.vision, { architecture: QWEN_IMAGE_ENCODER, path });
  assertFit("joint_attention_dim", {
    value: config.jointAttentionDim,
    expected: vision.outHiddenSize,
    of: "the vision tower's 'out_hidden_size'",
  });
  const { pictureArea, conditionArea, maxReferences } = edit;
  const processor = readImageProcessor(checkpoint, { folder: "processor", vision });
  const { width, height } = sizeOfArea({ width: 1, height: 1 }, pictureArea);
  return {
    ...parts,
    edit,
    inputs,
    vision,
    processor,
    towerSize: (image) => towerSize(sizeOfArea(image, conditionArea), { processor, vision }),
    tokenizers: { qwen: checkpoint.path("processor") },
    defaults: requestDefaults(checkpoint, { ...PRESET, width, height }),
    rules: {
      ...rules,
      references: {
        min: 1,
        max: maxReferences,
        pictureSize: (first) => sizeOfArea(first, pictureArea),
        brokenRule: (image) => brokenProportions(image, conditionArea, pictureArea),
      },
    },
    buildGraphs: () => ({
      qwen: qwenEncoderGraph({
        ...qwen,
        architecture: QWEN_IMAGE_ENCODER,
        dtype,
        states: [-1],
        finalNorm: true,
        images: { rotaryAxes: inputs.rotaryAxes, deepstackLayers: 0 },
      }),
      visionEncoder: qwenVisionEncoderGraph({ config: vision, weights: qwen.weights, dtype }),
      ...qwenImageTransformerGraphs({ ...transformer, dtype, references: true }),
      vae: wanVaePictureGraph({ config: vaeConfig, weights: vae.weights }),
      vaeEncoder: wanVaeEncoderGraph({ config: vaeConfig, weights: vae.weights }),
    }),
  };
}
