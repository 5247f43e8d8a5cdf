// Opens a pipeline by a model's name.
import { Runtime } from "../runtime/mod.ts";
import { modelDigest } from "../checkpoint/model_digest.ts";
import { GraphCache } from "../session/graph_cache.ts";
import { formatLora } from "../checkpoint/model_name.ts";
import { modelInfo } from "./model_info.ts";
import { loadPipeline } from "../pipeline/load_pipeline.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import { describeModel, type DescribeModelOptions } from "./describe_model.ts";

export interface OpenPipelineOptions extends DescribeModelOptions {
  /** Index of the CUDA device. @default 0 */
  deviceId?: number;
  /** Threads of the CPU provider. @default one for each physical core */
  intraOpThreads?: number;
  /**
   * Loads text encoders, denoiser and VAE only while they run. Peak memory is that of the
   * largest, and every picture waits for the loading. @default false
   */
  offload?: boolean;
  /**
   * Decodes pictures larger than the VAE's training size in tiles of that size.
   * This bounds memory and changes the picture a little. If false, only
   * pictures with a side above 2048 pixels are tiled. @default false
   */
  vaeTiling?: boolean;
  /**
   * Folder of optimized graphs, which the next start reuses.
   * If it cannot be written, nothing is stored. @default none
   */
  graphCache?: string;
  /** Receives a message for each part of a LoRA file that is ignored. @default console.warn */
  warn?: (message: string) => void;
}

/**
 * Loads a checkpoint on a device.
 * @param model a directory, or ORG/NAME in the Hugging Face
 * cache; +FILE.safetensors[:WEIGHT] at the end adds a LoRA
 * @throws {CheckpointError} if the checkpoint is missing, damaged
 * or of an unsupported family, or if a LoRA does not fit.
 * @throws {ProviderUnavailableError} if the device is unavailable; there is no silent fallback.
 */
export async function openPipeline(model: string, options: OpenPipelineOptions = {}): Promise<Pipeline> {
  const described = describeModel(model, options);
  const { checkpoint, family, provider, dtype, reading } = described;
  for (const note of checkpoint.notes) (options.warn ?? console.warn)(note);
  const { deviceId, intraOpThreads, loras = [], offload = false, vaeTiling = false } = options;
  const id = [model, ...loras.map(formatLora)].join("+");
  const runtime = Runtime.open({
    provider,
    ...deviceId !== undefined && { deviceId },
    ...intraOpThreads !== undefined && { intraOpThreads },
  });
  try {
    const weights = modelDigest(checkpoint.folder, checkpoint.loras);
    const info = modelInfo(id, described, { vaeTiling, weights });
    const graphCache = options.graphCache === undefined
      ? undefined
      : new GraphCache({ folder: options.graphCache, runtime, modelDigest: weights });
    const pipeline = await loadPipeline(family, reading, {
      runtime,
      dtype,
      model: info,
      offload,
      vaeTiling,
      ...graphCache && { graphCache },
    });
    return owning(pipeline, runtime);
  } catch (error) {
    runtime[Symbol.dispose]();
    throw error;
  }
}

/** Returns a pipeline that disposes of its runtime too. */
function owning(pipeline: Pipeline, runtime: Runtime): Pipeline {
  return {
    model: pipeline.model,
    description: pipeline.description,
    generate: (request, options) => pipeline.generate(request, options),
    [Symbol.dispose]() {
      pipeline[Symbol.dispose]();
      runtime[Symbol.dispose]();
    },
  };
}
