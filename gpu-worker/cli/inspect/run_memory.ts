// The memory of a run, by what takes it.
import { historySlots, planSteps } from "../../../sampler/mod.ts";
import type { HeldWeights } from "../../checkpoint/blocks/quantization_of.ts";
import type { MemoryOptions } from "../../flags/memory_flags.ts";
import type { ReadModel } from "../../model/read_model.ts";
import { featureElements, phasesOf } from "../../pipeline/run_shape.ts";
import type { GenerateRequest } from "../../request/generate_request.ts";
import { guidanceBranches } from "../../request/guidance_branches.ts";
import { DTYPE_BYTES } from "../../runtime/dtype.ts";
import type { ProviderName } from "../../runtime/mod.ts";
import { REMEMBERED_PROMPT_BYTES } from "../../text/remembered_prompts.ts";
import { recordingBytes } from "../calibrate/feature_products.ts";
import { peakMemoryBytes } from "../peak_memory.ts";
import { loadedComponents } from "./loaded_components.ts";
import { predictMemory, predictPromptBytes } from "./predict_memory.ts";
import { referenceMemory } from "./reference_memory.ts";

/** Memory that a run adds to this process besides the model: codecs, tokenizers, kernels, heap growth. */
const RUN_BYTES = 48 * 2 ** 20;
const HELD: readonly HeldWeights[] = ["as-stored", "int8", "int4"];

export interface RunMemoryOptions {
  request: GenerateRequest;
  provider: ProviderName;
  saving: MemoryOptions;
}

/** Predicts the memory of the run of `request` in this process, in bytes. */
export function runMemory(read: ReadModel, { request, provider, saving }: RunMemoryOptions) {
  const { checkpoint, dtype, reading, graphs } = read;
  const { maxSequenceLength } = request;
  const rule = { ...request.sampler, phases: phasesOf(read, request) };
  const plan = planSteps(request.steps, rule);
  const slots = historySlots(plan, rule);
  const branches = guidanceBranches(request, reading.rules);
  const components = loadedComponents(checkpoint, graphs);
  const elements = featureElements(read, request);
  const run = {
    components,
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
  const parts = predictMemory(run);
  const weightBytesOf = (held: HeldWeights) =>
    predictMemory({ ...run, components: loadedComponents(checkpoint.withHeld(held), graphs) }).weightBytes;
  const ofFullPasses = (slots: number) =>
    predictMemory({ ...run, plan: plan.map(() => "full" as const), slots });
  const conditionBytes = DTYPE_BYTES.float32 * (reading.conditionElements?.(request) ?? 0);
  const promptBytes = predictPromptBytes({ components, maxSequenceLength }, branches);
  const processBytes = peakMemoryBytes() + RUN_BYTES + promptBytes;
  // On a GPU the model is in the device's memory, not in the process's.
  const peakOf = ({ modelBytes }: typeof parts) =>
    (provider === "cpu" ? processBytes : 0) + modelBytes + conditionBytes;
  const recorded = recordingBytes({ featureElements: elements, branches, steps: request.steps });
  return {
    ...parts,
    historySlots: slots,
    conditionBytes,
    promptBytes,
    rememberedPromptBytes: REMEMBERED_PROMPT_BYTES,
    processBytes,
    /** Weights of all loaded components by --weights. */
    weightBytesBy: Object.fromEntries(HELD.map((held) => [held, weightBytesOf(held)])),
    recordingBytes: recorded,
    /** Memory of a run that deno task calibrate records. It keeps one feature in its history. */
    recordingPeakBytes: peakOf(ofFullPasses(1)) + recorded,
    /** Memory of the same run without a recording. */
    plainPeakBytes: peakOf(ofFullPasses(0)),
    peakBytes: peakOf(parts),
    freeBytes: Deno.systemMemoryInfo().available,
  };
}
