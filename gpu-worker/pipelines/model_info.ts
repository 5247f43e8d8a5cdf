// Who a checkpoint is, read without loading it.
import { Checkpoint } from "./checkpoint.ts";
import { findCheckpoint } from "./find_checkpoint.ts";
import { modelDigest } from "./model_digest.ts";
import type { ModelInfo } from "./pipeline.ts";

/** @throws {CheckpointError} if `model` cannot be found or is no pipeline. */
export function readModelInfo(model: string): ModelInfo {
  return modelInfo(model, Checkpoint.open(findCheckpoint(model)));
}

/** `id` is the name that the user gave. */
export function modelInfo(id: string, checkpoint: Checkpoint): ModelInfo {
  const { pipelineClass, folder } = checkpoint;
  const names = checkpoint.has("names.txt")
    ? Deno.readTextFileSync(checkpoint.path("names.txt")).split("\n").filter((name) => name !== "")
    : undefined;
  return { id, pipelineClass, digest: modelDigest(folder), ...names && { names } };
}
