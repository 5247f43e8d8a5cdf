// The way from a model's name to a loaded pipeline.
import { Runtime } from "../runtime/mod.ts";
import { modelDigest } from "../checkpoint/model_digest.ts";
import { GraphCache } from "../session/graph_cache.ts";
import { formatLora } from "../checkpoint/model_name.ts";
import { modelInfo } from "./model_info.ts";
import { loadPipeline } from "../pipeline/load_pipeline.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import { describeModel, type DescribeModelOptions } from "./describe_model.ts";

export interface OpenPipelineOptions extends DescribeModelOptions {
  /** CUDA device. @default 0 */
  deviceId?: number;
  /** Threads of the CPU provider. @default one for each physical core */
  intraOpThreads?: number;
  /**
   * Holds text encoders, denoiser and VAE in memory in turn, each loaded when it is needed: the peak is the largest's,
   * and every picture waits for the loading. @default false
   */
  offload?: boolean;
  /**
   * Decodes pictures that are larger than the VAE was trained for in tiles of that size, which bounds memory and alters
   * the picture a little; without it, only those with a side above 2048 pixels. @default false
   */
  vaeTiling?: boolean;
  /**
   * Folder for graphs as ONNX Runtime has optimized them, which the next start then takes. Nothing is stored where it
   * cannot be written. @default none
   */
  graphCache?: string;
  /** Told what was left out of a LoRA's file. @default console.warn */
  warn?: (message: string) => void;
}

/**
 * Loads the checkpoint that `model` names: a directory, or ORG/NAME in the Hugging Face cache, with
 * +FILE.safetensors[:WEIGHT] behind it for each LoRA.
 * @throws {CheckpointError} if it cannot be found, is damaged or of a family that we do not have, or if a LoRA does not fit.
 * @throws {ProviderUnavailableError} if the device cannot be had; there is no silent fallback.
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

/** The pipeline's disposal takes the runtime with it. */
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
