// The registry: diffusers' pipeline class to ours. A new family is one line here.
import { showValue } from "../../sampler/mod.ts";
import { CheckpointError } from "../checkpoint/checkpoint_error.ts";
import type { DType } from "../runtime/dtype.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { readFluxCheckpoint } from "../families/flux/flux_checkpoint.ts";
import { FluxPipeline } from "../families/flux/flux_pipeline.ts";
import { readHunyuanVideoCheckpoint } from "../families/hunyuan_video/hunyuan_video_checkpoint.ts";
import { HunyuanVideoPipeline } from "../families/hunyuan_video/hunyuan_video_pipeline.ts";
import type { CheckpointReading, OpenOptions, Pipeline } from "../pipeline/pipeline.ts";
import { readSd3Checkpoint } from "../families/sd3/sd3_checkpoint.ts";
import { Sd3Pipeline } from "../families/sd3/sd3_pipeline.ts";
import { readSdCheckpoint } from "../families/unet/sd_checkpoint.ts";
import { readSdxlCheckpoint } from "../families/unet/sdxl_checkpoint.ts";
import { UNetPipeline } from "../families/unet/unet_pipeline.ts";
import { readWanCheckpoint } from "../families/wan/wan_checkpoint.ts";
import { WanPipeline } from "../families/wan/wan_pipeline.ts";

export interface Family {
  /** Reads a checkpoint's configs and checks them, without loading it. */
  read(checkpoint: Checkpoint, dtype: DType): CheckpointReading;
  /** Loads it. */
  open(checkpoint: Checkpoint, options: OpenOptions): Promise<Pipeline>;
}

const FAMILIES: Readonly<Record<string, Family>> = {
  FluxPipeline: { read: readFluxCheckpoint, open: FluxPipeline.open },
  HunyuanVideoPipeline: { read: readHunyuanVideoCheckpoint, open: HunyuanVideoPipeline.open },
  StableDiffusionPipeline: { read: readSdCheckpoint, open: UNetPipeline.openSd },
  StableDiffusion3Pipeline: { read: readSd3Checkpoint, open: Sd3Pipeline.open },
  StableDiffusionXLPipeline: { read: readSdxlCheckpoint, open: UNetPipeline.openSdxl },
  WanPipeline: { read: readWanCheckpoint, open: WanPipeline.open },
};

/** @throws {CheckpointError} listing the classes that are supported. */
export function familyOf({ folder, pipelineClass }: Checkpoint): Family {
  if (Object.hasOwn(FAMILIES, pipelineClass)) return FAMILIES[pipelineClass]!;
  const known = Object.keys(FAMILIES).join(", ");
  throw new CheckpointError(
    `Cannot open ${folder} as pipeline class ${
      showValue(pipelineClass)
    } is not supported: known are ${known}`,
  );
}
