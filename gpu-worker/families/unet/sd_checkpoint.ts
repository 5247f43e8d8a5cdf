// Reads a Stable Diffusion 1.x or 2.x checkpoint (StableDiffusionPipeline): one CLIP encoder,
// of which the final states are used. The safety checker of some checkpoints is not run:
// operators decide what may be served.
import type { SchedulerConfig } from "../../../sampler/mod.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import type { DType } from "../../runtime/dtype.ts";
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import { readUNetCheckpoint, type UNetCheckpoint } from "./unet_checkpoint.ts";

/**
 * Reads and checks the checkpoint.
 * @throws {CheckpointError} if a component is missing, damaged or unsupported.
 */
export function readSdCheckpoint(checkpoint: Checkpoint, dtype: DType): UNetCheckpoint {
  const read = readUNetCheckpoint(checkpoint, {
    dtype,
    latentNumbers: "none",
    textEncoders: [{ name: "text_encoder", className: "CLIPTextModel", states: "last_hidden_state" }],
    guidanceScale: 7.5,
    strength: 0.8,
    maskStrength: 1,
    leastOldSampleSize: 64,
    scheduler: correctScheduler(checkpoint.scheduler()),
  });
  if (read.config.textTime) {
    throw new CheckpointError(
      "Cannot use unet/config.json as StableDiffusionPipeline has no 'addition_embed_type': " +
        "current value is text_time",
    );
  }
  return read;
}

/** Applies the overrides that StableDiffusionPipeline makes to the schedulers of old checkpoints. */
function correctScheduler(config: SchedulerConfig): SchedulerConfig {
  return {
    ...config,
    steps_offset: 1,
    ...config["_class_name"] === "DDIMScheduler" && { clip_sample: false },
    _use_default_values: [],
  };
}
