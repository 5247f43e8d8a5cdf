// Reads a checkpoint of HunyuanVideo from an image: the parts of HunyuanVideo from text, with LLaVA in place
// of LLaMA and the autoencoder's encoder.
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { readClipImageProcessor } from "../../checkpoint/clip_image_processor.ts";
import { requestDefaults } from "../../checkpoint/stored_defaults.ts";
import type { OnnxModel } from "../../graph/graph_builder.ts";
import { llamaEncoderGraph } from "../../graph/text_encoders/llama_encoder.ts";
import { type LlavaConfig, parseLlavaConfig } from "../../graph/vision_encoders/llava_config.ts";
import { llavaVisionEncoderGraph } from "../../graph/vision_encoders/llava_vision_encoder.ts";
import type { ClipPixelsOptions } from "../../media/clip_pixels.ts";
import type { DType } from "../../runtime/dtype.ts";
import { latentsOf } from "../../vae/video_size.ts";
import {
  type HunyuanVideoCheckpoint,
  readHunyuanVideoParts,
  SKIPPED_LAYERS,
} from "./hunyuan_video_checkpoint.ts";
import { hunyuanVideoFrameEncoderGraph } from "./hunyuan_video_frame_encoder.ts";

export interface HunyuanVideoImageCheckpoint extends HunyuanVideoCheckpoint {
  llava: LlavaConfig;
  /** How the vision tower takes the image. */
  vision: ClipPixelsOptions;
  buildGraphs(): HunyuanVideoImageGraphs;
}

export type HunyuanVideoImageGraphs = Record<
  "llama" | "visionEncoder" | "clip" | "trunk" | "head" | "modulation" | "vae" | "frameEncoder",
  OnnxModel
>;

/** The settings of the published results. */
const PRESET = { width: 1280, height: 720, fps: 24, steps: 50, trueCfgScale: 1, sampler: {} };
/** Frames that the published results compute. */
const COMPUTED_FRAMES = 129;
/** Tokens of a picture that the pipeline's template has room for. */
export const PICTURE_TOKENS = 576;

/**
 * Reads and checks the checkpoint.
 * @throws {CheckpointError} if a component is missing, damaged or unsupported.
 */
export function readHunyuanVideoImageCheckpoint(
  checkpoint: Checkpoint,
  dtype: DType,
): HunyuanVideoImageCheckpoint {
  checkpoint.requireClass("text_encoder", "LlavaForConditionalGeneration");
  const text = checkpoint.component("text_encoder", "model");
  const llava = parseLlavaConfig(text.config, { name: text.name, skippedLayers: SKIPPED_LAYERS });
  const { reading, vae, defaults, graphs } = readHunyuanVideoParts(checkpoint, {
    dtype,
    textConfig: () => llava.text,
  });
  const { config, latentScale, rules } = reading;
  if (config.imageCondition === undefined) {
    throw new CheckpointError(
      `Cannot use ${checkpoint.path("transformer", "config.json")} as 'image_condition_type' must be ` +
        "latent_concat or token_replace with HunyuanVideoImageToVideoPipeline, but is null",
    );
  }
  if (llava.pictureTokens !== PICTURE_TOKENS) {
    throw new CheckpointError(
      `Cannot use ${text.name}/config.json as its vision encoder must give a picture ${PICTURE_TOKENS} ` +
        `tokens, but gives ${llava.pictureTokens}`,
    );
  }
  const { temporal = 1, lead = 0 } = latentScale;
  const isHeld = config.imageCondition === "token_replace";
  return {
    ...reading,
    llava,
    vision: readClipImageProcessor(checkpoint, { side: llava.vision.image_size }),
    defaults: requestDefaults(checkpoint, {
      ...PRESET,
      ...defaults,
      numFrames: COMPUTED_FRAMES - lead * temporal,
    }),
    rules: {
      ...rules,
      video: {
        ...rules.video,
        // The first latent frame is given, so another one must follow.
        ...isHeld && { minFrames: temporal + 1 },
        frames: { first: "required", last: "none" },
      },
    },
    conditionElements(request) {
      const { frames, height, width, channels } = latentsOf(latentScale, request);
      const branches = request.trueCfgScale > 1 ? 2 : 1;
      const beside = isHeld ? channels : (config.inChannels - config.outChannels) * frames;
      return branches * beside * height * width;
    },
    buildGraphs: () => ({
      llama: llamaEncoderGraph({
        config: llava.textConfig,
        weights: text.weights,
        dtype,
        skippedLayers: SKIPPED_LAYERS,
        seesPictures: true,
      }),
      visionEncoder: llavaVisionEncoderGraph({ config: llava, weights: text.weights, dtype }),
      ...graphs(),
      frameEncoder: hunyuanVideoFrameEncoderGraph(vae),
    }),
  };
}
