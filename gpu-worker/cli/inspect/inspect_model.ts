// What a checkpoint holds, whether it runs here, and how much memory a run of it needs.
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import type { MemoryOptions } from "../../flags/memory_flags.ts";
import type { DescribeModelOptions } from "../../model/describe_model.ts";
import { modelInfo } from "../../model/model_info.ts";
import { readModel } from "../../model/read_model.ts";
import { completeRequest } from "../../request/complete_request.ts";
import type { GenerateRequest } from "../../request/generate_request.ts";
import type { RequestRules } from "../../request/request_rules.ts";
import { shortRunNote } from "../../request/short_runs.ts";
import { type ProviderName, Runtime } from "../../runtime/mod.ts";
import { predictedReferences } from "./reference_memory.ts";
import { runMemory } from "./run_memory.ts";

/** The run whose memory is predicted. */
export interface RunSize extends MemoryOptions {
  steps: number | undefined;
  width: number | undefined;
  height: number | undefined;
  /** Frames of a video. */
  numFrames: number | undefined;
  /** Paths of images to look at. */
  images: readonly string[];
}

export type Inspection = Awaited<ReturnType<typeof inspectModel>>;

/**
 * Reads a checkpoint, and predicts the memory of a run.
 * @throws {CheckpointError} if it does not run
 */
export async function inspectModel(
  model: string,
  { size: asked, ...options }: DescribeModelOptions & { size: RunSize },
) {
  const { steps, width, height, numFrames, images, ...saving } = asked;
  const { provider = "cpu" } = options;
  // Building the graphs checks the checkpoint: a contradictory one does not run.
  const read = readModel(model, options);
  const { checkpoint, dtype, reading: { rules, defaults, calibration } } = read;
  const references = await predictedReferences(images, rules.references);
  const size = { steps, width, height, numFrames };
  const request = completeRequest({ prompt: "", seed: 0, ...size, references }, read.reading);
  // First, as the memory of an opened runtime is a part of the process's.
  const problem = problemOf(provider);
  return {
    model,
    folder: checkpoint.folder,
    pipelineClass: checkpoint.pipelineClass,
    digest: modelInfo(model, read, saving).digest,
    ...calibration && { calibration: calibration.source },
    components: storedComponents(checkpoint),
    defaults,
    ...rules.references && { references: { min: rules.references.min ?? 0, max: rules.references.max } },
    device: { provider, dtype, weights: checkpoint.held, problem },
    run: runOf(request, rules),
    memory: runMemory(read, { request, provider, saving }),
  };
}

/** Describes the run. */
function runOf(request: GenerateRequest, { video }: RequestRules) {
  const { steps, width, height, numFrames, fps, references, sampler: { method } } = request;
  return {
    steps,
    width,
    height,
    ...video && { numFrames, fps },
    ...video?.frames && { frames: video.frames },
    ...references && { references },
    note: shortRunNote({ ...request, method }),
  };
}

/** Returns what the files hold, by component. */
function storedComponents(checkpoint: Checkpoint) {
  return checkpoint.components().map(({ name, className, weights }) => {
    const entries = [...weights.values()];
    return {
      name,
      className,
      parameters: entries.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0),
      dtypes: [...new Set(entries.map(({ blocks, dtype }) => blocks ?? dtype))],
      bytes: entries.reduce((sum, { byteLength }) => sum + byteLength, 0),
      files: [...new Set(entries.map(({ path }) => path))],
    };
  });
}

/** Returns why the provider is unavailable here, or undefined. */
function problemOf(provider: ProviderName): string | undefined {
  try {
    Runtime.open({ provider })[Symbol.dispose]();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
