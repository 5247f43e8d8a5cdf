// Reads a checkpoint's identity without loading it.
import { modelDigest } from "../checkpoint/model_digest.ts";
import { mp4Encoder } from "../media/ffmpeg_mp4.ts";
import type { ModelInfo } from "../pipeline/pipeline.ts";
import { ortVersion } from "../runtime/mod.ts";
import type { DescribedModel } from "./describe_model.ts";
import type { OpenPipelineOptions } from "./open_pipeline_options.ts";
import { pictureDigest } from "./picture_digest.ts";

/** Options that affect pictures and that the described model does not contain. */
export interface ModelInfoOptions extends Pick<OpenPipelineOptions, "vaeTiling"> {
  /** `modelDigest` of the checkpoint, if the caller has it already. @default computed here */
  weights?: string;
}

/**
 * Returns the identity of a checkpoint.
 * @param id the name that the user gave
 */
export function modelInfo(
  id: string,
  { checkpoint, provider, dtype, reading }: Pick<
    DescribedModel,
    "checkpoint" | "provider" | "dtype" | "reading"
  >,
  { vaeTiling = false, weights = modelDigest(checkpoint) }: ModelInfoOptions = {},
): ModelInfo {
  const names = checkpoint.has("names.txt")
    ? Deno.readTextFileSync(checkpoint.path("names.txt")).split("\n").filter((name) => name !== "")
    : undefined;
  return {
    id,
    pipelineClass: checkpoint.pipelineClass,
    weights: checkpoint.held,
    digest: pictureDigest({
      weights,
      provider,
      dtype,
      held: checkpoint.held,
      vaeTiling,
      calibration: reading.calibration?.digest,
      runtime: ortVersion(),
      mp4Encoder: reading.rules.video && mp4Encoder(),
    }),
    ...checkpoint.title !== undefined && { title: checkpoint.title },
    ...names && { names },
  };
}
