// A Stable Diffusion 1.x or 2.x checkpoint (StableDiffusionPipeline): one CLIP encoder, its final states.
// The safety checker that some checkpoints carry is not run: what may be served is up to the operator.
import type { SchedulerConfig } from "../../../sampler/mod.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import type { DType } from "../../runtime/dtype.ts";
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import { readUNetCheckpoint, type UNetCheckpoint } from "./unet_checkpoint.ts";

/** @throws {CheckpointError} if a component is missing, damaged, or asks for what is not supported. */
export function readSdCheckpoint(checkpoint: Checkpoint, dtype: DType): UNetCheckpoint {
  const read = readUNetCheckpoint(checkpoint, {
    dtype,
    textEncoders: [{ name: "text_encoder", className: "CLIPTextModel", states: "last_hidden_state" }],
    guidanceScale: 7.5,
    strength: 0.8,
    leastOldSampleSize: 64,
    scheduler: correctScheduler(checkpoint.scheduler()),
  });
  if (read.config.textTime) {
    throw new CheckpointError(
      `Cannot use unet/config.json as StableDiffusionPipeline has no 'addition_embed_type': current value is text_time`,
    );
  }
  return read;
}

/** What StableDiffusionPipeline overrides in the schedulers of old checkpoints. */
function correctScheduler(config: SchedulerConfig): SchedulerConfig {
  return {
    ...config,
    steps_offset: 1,
    ...config["_class_name"] === "DDIMScheduler" && { clip_sample: false },
    _use_default_values: [],
  };
}
