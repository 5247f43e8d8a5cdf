// Who a checkpoint is, read without loading it.
import { Checkpoint } from "../checkpoint/checkpoint.ts";
import { makesVideos } from "./families.ts";
import { findCheckpoint } from "../checkpoint/find_checkpoint.ts";
import { applyLoras } from "../checkpoint/lora/apply_loras.ts";
import { parseModelName } from "../checkpoint/parse_model_name.ts";
import { modelDigest } from "../checkpoint/model_digest.ts";
import type { ModelInfo } from "../pipeline/pipeline.ts";

/** @throws {CheckpointError} if `model` cannot be found or is no pipeline, or a LoRA in its name does not fit it. */
export function readModelInfo(model: string): ModelInfo {
  const { name, loras } = parseModelName(model);
  return modelInfo(model, applyLoras(Checkpoint.open(findCheckpoint(name)), loras));
}

/** `id` is the name that the user gave. */
export function modelInfo(id: string, checkpoint: Checkpoint): ModelInfo {
  const { pipelineClass, folder, loras } = checkpoint;
  const names = checkpoint.has("names.txt")
    ? Deno.readTextFileSync(checkpoint.path("names.txt")).split("\n").filter((name) => name !== "")
    : undefined;
  return {
    id,
    pipelineClass,
    digest: modelDigest(folder, loras),
    ...makesVideos(pipelineClass) && { videos: true },
    ...names && { names },
  };
}
