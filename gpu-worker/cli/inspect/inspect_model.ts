// What a checkpoint holds, whether it runs here, and how much memory a run of it needs.
import { historySlots, planSteps } from "../../../sampler/mod.ts";
import { completeRequest } from "../../request/complete_request.ts";
import type { HeldWeights } from "../../checkpoint/blocks/quantization_of.ts";
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import type { DescribeModelOptions } from "../../model/describe_model.ts";
import { modelInfo } from "../../model/model_info.ts";
import { type ReadModel, readModel } from "../../model/read_model.ts";
import { DTYPE_BYTES } from "../../runtime/dtype.ts";
import { type ProviderName, Runtime } from "../../runtime/mod.ts";
import { recordingBytes } from "../calibrate/feature_products.ts";
import { peakMemoryBytes } from "../peak_memory.ts";
import { featureElements, phasesOf } from "../../pipeline/family.ts";
import { predictMemory, predictPromptBytes } from "./predict_memory.ts";
import { predictedReferences, referenceMemory } from "./reference_memory.ts";
import type { MemoryOptions } from "../../flags/memory_flags.ts";
import { guidanceBranches } from "../../request/guidance_branches.ts";
import { shortRunNote } from "../../request/short_runs.ts";
import { REMEMBERED_PROMPT_BYTES } from "../../text/remembered_prompts.ts";

/** Memory that a run adds to this process besides the model: codecs, tokenizers, kernels, heap growth. */
const RUN_BYTES = 48 * 2 ** 20;

const HELD: readonly HeldWeights[] = ["as-stored", "int8", "int4"];

/** Components that some checkpoints contain and no run loads. */
const UNLOADED = ["safety_checker", "image_encoder"];
/** The graph of an image encoder that runs do load. */
const VISION = "vision";

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
  const { checkpoint, dtype, reading, graphs } = read;
  const { defaults } = reading;
  const references = await predictedReferences(images, reading.rules.references);
  const size = { steps, width, height, numFrames };
  const request = completeRequest({ prompt: "", seed: 0, ...size, references }, reading);
  const rule = { ...request.sampler, phases: phasesOf(read, request) };
  const plan = planSteps(request.steps, rule);
  const slots = historySlots(plan, rule);
  const { maxSequenceLength } = request;
  const loaded = loadedComponents(checkpoint, graphs);
  const branches = guidanceBranches(request, reading.rules);
  const promptBytes = predictPromptBytes({ components: loaded, maxSequenceLength }, branches);
  const elements = featureElements(read, request);
  const run = {
    dtype,
    plan,
    slots,
    featureElements: elements,
    conditioningElements: reading.conditioningElements?.(request) ?? 0,
    maxSequenceLength,
    decoding: reading.decoding(request, saving),
    offload: saving.offload,
    provider,
    references: referenceMemory(read, request),
  };
  const predict = (held: HeldWeights) =>
    predictMemory({ ...run, components: loadedComponents(checkpoint.withHeld(held), graphs) });
  const parts = predict(checkpoint.held);
  const conditionBytes = DTYPE_BYTES.float32 * (reading.conditionElements?.(request) ?? 0);
  const peakOf = ({ modelBytes }: typeof parts) =>
    (provider === "cpu" ? processBytes : 0) + modelBytes + conditionBytes;
  const ofFullPasses = (slots: number) =>
    predictMemory({
      ...run,
      plan: plan.map(() => "full" as const),
      slots,
      components: loadedComponents(checkpoint, graphs),
    });
  const recorded = recordingBytes({ featureElements: elements, branches, steps: request.steps });
  const problem = problemOf(provider);
  // After the runtime was opened, whose memory is a part of the process's.
  const processBytes = peakMemoryBytes() + RUN_BYTES + promptBytes;
  return {
    model,
    folder: checkpoint.folder,
    pipelineClass: checkpoint.pipelineClass,
    digest: modelInfo(model, read, saving).digest,
    ...reading.calibration && { calibration: reading.calibration.source },
    components: storedComponents(checkpoint),
    defaults,
    ...reading.rules.references && {
      references: { min: reading.rules.references.min ?? 0, max: reading.rules.references.max },
    },
    device: { provider, dtype, weights: checkpoint.held, problem },
    run: {
      steps: request.steps,
      width: request.width,
      height: request.height,
      ...reading.rules.video && { numFrames: request.numFrames, fps: request.fps },
      ...reading.rules.video?.frames && { frames: reading.rules.video.frames },
      ...request.references && { references },
      note: shortRunNote({ ...request, method: request.sampler.method }),
    },
    memory: {
      ...parts,
      historySlots: slots,
      conditionBytes,
      promptBytes,
      rememberedPromptBytes: REMEMBERED_PROMPT_BYTES,
      processBytes,
      /** Weights of all loaded components by --weights. */
      weightBytesBy: Object.fromEntries(HELD.map((held) => [held, predict(held).weightBytes])),
      recordingBytes: recorded,
      /** Memory of a run that deno task calibrate records. It keeps one feature in its history. */
      recordingPeakBytes: peakOf(ofFullPasses(1)) + recorded,
      /** Memory of the same run without a recording. */
      plainPeakBytes: peakOf(ofFullPasses(0)),
      // On a GPU the model is in the device's memory, not in the process's.
      peakBytes: peakOf(parts),
      freeBytes: Deno.systemMemoryInfo().available,
    },
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

/**
 * Returns the components that a run loads, with the shapes that it holds. Only matrices that its layers hold
 * in blocks keep a quantization.
 */
function loadedComponents(checkpoint: Checkpoint, graphs: ReadModel["graphs"]) {
  const inBlocks = new Set(
    Object.values(graphs).flatMap(({ name, matrices }) =>
      matrices.map((matrix) => `${name.replace(/_trunk$/, "")} ${matrix}`)
    ),
  );
  const heldShapes = new Map<string, readonly number[]>(
    Object.values(graphs).flatMap(({ name, heldShapes }) =>
      [...heldShapes].map(([weight, shape]) => [`${name.replace(/_trunk$/, "")} ${weight}`, shape] as const)
    ),
  );
  const unloaded = VISION in graphs ? UNLOADED.filter((name) => name !== "image_encoder") : UNLOADED;
  return checkpoint.components().filter(({ name }) => !unloaded.includes(name)).map(({ name, weights }) => ({
    name,
    weights: new Map(
      [...weights].map(([tensor, entry]) => {
        const { quantization: _quantization, ...stored } = entry;
        const key = `${name} ${tensor}`;
        return [tensor, inBlocks.has(key) ? entry : { ...stored, shape: heldShapes.get(key) ?? entry.shape }];
      }),
    ),
  }));
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
