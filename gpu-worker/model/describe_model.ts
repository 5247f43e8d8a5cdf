// Describes a model by its name. No graph is built, and nothing is loaded on a device.
import type { DType } from "../runtime/dtype.ts";
import type { ProviderName } from "../runtime/provider.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { resolveWeights, type WeightChoice } from "../checkpoint/held_weights.ts";
import { openControlNets } from "../checkpoint/control_net_files.ts";
import { CheckpointError } from "../checkpoint/checkpoint_error.ts";
import type { PartFiles } from "../checkpoint/part_files.ts";
import { familyOf } from "./families.ts";
import { findCalibration } from "../checkpoint/find_calibration.ts";
import { applyLoras } from "../checkpoint/lora/apply_loras.ts";
import { type Lora, parseModelName } from "../../protocol/wire/model_name.ts";
import type { Family, FamilyReading } from "../pipeline/family.ts";
import { openCheckpoint } from "./open_checkpoint.ts";

export interface DeviceOptions {
  /** @default "cpu" */
  provider?: ProviderName | undefined;
  /** Compute type. @default "float32" on cpu and webgpu, "bfloat16" on cuda */
  dtype?: DType | undefined;
  /** How linear layers hold their weights. @default "auto" */
  weights?: WeightChoice | undefined;
}

export interface DescribeModelOptions extends DeviceOptions {
  /** LoRAs in addition to those in the model's name. @default none */
  loras?: readonly Lora[] | undefined;
  /** Files that complete a single file, or replace networks of a folder. @default none */
  parts?: PartFiles | undefined;
  /** File of a calibration. @default the checkpoint's own, if there is one */
  calibration?: string | undefined;
  /** Whether that file may be of another model. @default false */
  forceCalibration?: boolean | undefined;
}

export interface DescribedModel {
  checkpoint: Checkpoint;
  family: Family;
  /** The execution provider. */
  provider: ProviderName;
  dtype: DType;
  reading: FamilyReading;
  /** Why the checkpoint's own calibration is not used; empty if it is, or if there is none. */
  warnings: readonly string[];
}

/**
 * Reads a checkpoint's configs and its weights' headers.
 * @param model a directory, a single file, or ORG/NAME in the Hugging Face
 * cache; +FILE.safetensors[:WEIGHT] at the end adds a LoRA, +controlnet:DIR a ControlNet
 * @throws {CheckpointError} if the checkpoint is missing, damaged or of an unsupported family, or if a LoRA,
 * a ControlNet or the named calibration does not fit.
 * @throws {RangeError} if the device does not compute in `dtype`.
 */
export function describeModel(model: string, options: DescribeModelOptions = {}): DescribedModel {
  const { provider = "cpu", dtype, weights = "auto", parts } = options;
  const computeType = dtype ?? (provider === "cuda" ? "bfloat16" : "float32");
  if (provider === "webgpu" && computeType === "bfloat16") {
    throw new RangeError(
      `Cannot open ${model} as 'dtype' must be float32 or float16 on webgpu: current value is ${dtype}`,
    );
  }
  if (provider === "cpu" && computeType !== "float32") {
    throw new RangeError(`Cannot open ${model} as 'dtype' must be float32 on cpu: current value is ${dtype}`);
  }
  const { name, loras, controlNets = [] } = parseModelName(model);
  const opened = openCheckpoint(name, parts);
  const family = familyOf(opened);
  const changed = applyLoras(opened, [...loras, ...options.loras ?? []], family.loras);
  const plain = addControlNets(changed, { family, names: controlNets, model: name });
  const memoryBytes = provider === "cpu" ? Deno.systemMemoryInfo().total : undefined;
  const components = weights === "auto" ? plain.components() : [];
  const checkpoint = plain.withHeld(
    resolveWeights(weights, { components, dtype: computeType, memoryBytes }),
    { wholeRows: provider === "cpu" },
  );
  const warnings: string[] = [];
  const reading = family.read(checkpoint, computeType);
  const calibration = findCalibration(checkpoint, { ...options, model, warn: (text) => warnings.push(text) });
  return {
    checkpoint,
    family,
    provider,
    dtype: computeType,
    reading: calibration ? { ...reading, calibration } : reading,
    warnings,
  };
}

function addControlNets(
  checkpoint: Checkpoint,
  { family, names, model }: { family: Family; names: readonly string[]; model: string },
): Checkpoint {
  if (names.length === 0) return checkpoint;
  if (family.controls === undefined) {
    throw new CheckpointError(
      `Cannot use ControlNet ${names[0]} with ${model} as ${checkpoint.pipelineClass} takes none: ` +
        "Stable Diffusion 1.x and 2.x, SDXL and FLUX.1 do",
    );
  }
  return checkpoint.withControlNets(openControlNets(names, model));
}
