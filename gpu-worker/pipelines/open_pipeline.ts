// The way from a model's name to a loaded pipeline.
import type { DType } from "../runtime/dtype.ts";
import { type ProviderName, Runtime } from "../runtime/mod.ts";
import { Checkpoint } from "./checkpoint.ts";
import { familyOf } from "./families.ts";
import { findCheckpoint } from "./find_checkpoint.ts";
import { modelInfo } from "./model_info.ts";
import type { Pipeline } from "./pipeline.ts";

export interface OpenPipelineOptions {
  /** @default "cpu" */
  provider?: ProviderName;
  /** CUDA device. @default 0 */
  deviceId?: number;
  /** Compute type. @default "float32" on cpu and webgpu, "bfloat16" on cuda */
  dtype?: DType | undefined;
  /** Threads of the CPU provider. @default one for each physical core */
  intraOpThreads?: number;
}

/**
 * Loads the checkpoint that `model` names: a directory, or ORG/NAME in the Hugging Face cache.
 * @throws {CheckpointError} if it cannot be found, is damaged or of a family that we do not have.
 * @throws {ProviderUnavailableError} if the device cannot be had; there is no silent fallback.
 */
export async function openPipeline(model: string, options: OpenPipelineOptions = {}): Promise<Pipeline> {
  const { provider = "cpu", dtype = provider === "cuda" ? "bfloat16" : "float32" } = options;
  if (provider === "cpu" && dtype !== "float32") {
    throw new RangeError(`Cannot open ${model} as 'dtype' must be float32 on cpu: current value is ${dtype}`);
  }
  const checkpoint = Checkpoint.open(findCheckpoint(model));
  const family = familyOf(checkpoint);
  const { deviceId, intraOpThreads } = options;
  const runtime = Runtime.open({
    provider,
    ...deviceId !== undefined && { deviceId },
    ...intraOpThreads !== undefined && { intraOpThreads },
  });
  try {
    return owning(
      await family.open(checkpoint, { runtime, dtype, model: modelInfo(model, checkpoint) }),
      runtime,
    );
  } catch (error) {
    runtime[Symbol.dispose]();
    throw error;
  }
}

/** The pipeline's disposal takes the runtime with it. */
function owning(pipeline: Pipeline, runtime: Runtime): Pipeline {
  return {
    model: pipeline.model,
    defaults: pipeline.defaults,
    complete: (request) => pipeline.complete(request),
    generate: (request, options) => pipeline.generate(request, options),
    [Symbol.dispose]() {
      pipeline[Symbol.dispose]();
      runtime[Symbol.dispose]();
    },
  };
}
