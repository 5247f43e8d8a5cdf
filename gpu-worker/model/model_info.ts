// Who a checkpoint is, read without loading it.
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { modelDigest } from "../checkpoint/model_digest.ts";
import type { ModelInfo } from "../pipeline/pipeline.ts";

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
    ...names && { names },
  };
}
