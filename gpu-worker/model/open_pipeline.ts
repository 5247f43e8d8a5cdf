// Opens a pipeline by a model's name.
import { Runtime } from "../runtime/mod.ts";
import { modelDigest } from "../checkpoint/model_digest.ts";
import { GraphCache } from "../session/graph_cache.ts";
import { WeightStore } from "../session/weight_store.ts";
import { formatLora } from "../../protocol/wire/model_name.ts";
import { modelInfo } from "./model_info.ts";
import { loadPipeline } from "../pipeline/load_pipeline.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import { describeModel } from "./describe_model.ts";
import type { OpenPipelineOptions } from "./open_pipeline_options.ts";
import { withSupportedDtype } from "./with_supported_dtype.ts";

/**
 * Loads a checkpoint on a device.
 * @param model a directory, a single file, or ORG/NAME in the Hugging Face
 * cache; +FILE.safetensors[:WEIGHT] at the end adds a LoRA
 * @throws {CheckpointError} if the checkpoint is missing, damaged or of an unsupported family, or if a LoRA
 * does not fit.
 * @throws {ProviderUnavailableError} if the device is unavailable; there is no silent fallback.
 */
export async function openPipeline(model: string, asked: OpenPipelineOptions = {}): Promise<Pipeline> {
  const options = await withSupportedDtype(asked, asked.warn);
  const described = describeModel(model, options);
  const { checkpoint, family, provider, dtype, reading } = described;
  const { id: name = model, deviceId, intraOpThreads, loras = [], offload = false, vaeTiling = false } =
    options;
  const { weightCache: folder, warn = console.warn } = options;
  for (const note of [...checkpoint.notes, ...described.warnings]) warn(note);
  const id = [name, ...loras.map(formatLora)].join("+");
  using stack = new DisposableStack();
  const weightStore = stack.use(new WeightStore({ folder, warn }));
  const runtime = stack.use(Runtime.open({
    provider,
    ...deviceId !== undefined && { deviceId },
    ...intraOpThreads !== undefined && { intraOpThreads },
  }));
  const weights = modelDigest(checkpoint);
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
    weightStore,
    ...graphCache && { graphCache },
  });
  return owning(pipeline, stack.move());
}

/** Returns a pipeline that disposes of what it runs on too. */
function owning(pipeline: Pipeline, stack: DisposableStack): Pipeline {
  return {
    model: pipeline.model,
    description: pipeline.description,
    generate: (request, options) => pipeline.generate(request, options),
    [Symbol.dispose]() {
      pipeline[Symbol.dispose]();
      stack.dispose();
    },
  };
}
