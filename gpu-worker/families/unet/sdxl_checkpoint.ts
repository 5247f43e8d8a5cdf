// Reads an SDXL checkpoint (StableDiffusionXLPipeline): penultimate states of two CLIP encoders, and the
// second one's pooled text.
import type { DType } from "../../runtime/dtype.ts";
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { readUNetCheckpoint, type TextEncoderOptions, type UNetCheckpoint } from "./unet_checkpoint.ts";

const states = "penultimate_hidden_state";
const FIRST: TextEncoderOptions = { name: "text_encoder", className: "CLIPTextModel", states };
const SECOND: TextEncoderOptions = {
  name: "text_encoder_2",
  className: "CLIPTextModelWithProjection",
  states,
};

/**
 * Reads and checks the checkpoint.
 * @throws {CheckpointError} if a component is missing, damaged or unsupported.
 */
export function readSdxlCheckpoint(checkpoint: Checkpoint, dtype: DType): UNetCheckpoint {
  const { force_zeros_for_empty_prompt: zeroNegative = true } = checkpoint.json("model_index.json");
  const read = readUNetCheckpoint(checkpoint, {
    dtype,
    latentNumbers: "statistics",
    // The first encoder is optional, as in diffusers.
    textEncoders: checkpoint.componentClass("text_encoder") === undefined ? [SECOND] : [FIRST, SECOND],
    guidanceScale: 5,
    strength: 0.3,
    maskStrength: 0.9999,
    zeroNegative: zeroNegative === true,
    scheduler: checkpoint.scheduler(),
  });
  if (!read.config.textTime) {
    throw new CheckpointError(
      "Cannot use unet/config.json as StableDiffusionXLPipeline needs 'addition_embed_type' text_time: " +
        "current value is null",
    );
  }
  return read;
}
