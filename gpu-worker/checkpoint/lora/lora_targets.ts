// Where the modules that a LoRA file names lie in a checkpoint. Kohya writes underscores for dots, which cannot be undone:
// every name that a tensor of the checkpoint may have is written that way instead, and looked up.
import { CheckpointError } from "../checkpoint_error.ts";
import type { WeightEntry } from "../weights.ts";
import type { Checkpoint } from "../checkpoint.ts";
import {
  fluxOriginalNames,
  hunyuanVideoOriginalNames,
  type OriginalNames,
  sd3OriginalNames,
} from "./original_names.ts";
import { unetOriginalNames } from "./unet_original_names.ts";

/** A tensor of the checkpoint. */
export interface LoraTarget {
  component: string;
  weight: string;
  shape: WeightEntry["shape"];
}

/** Finds what a file calls `module`: one tensor, or those whose rows lie behind each other in a fused one. */
export type FindLoraTargets = (module: string) => readonly LoraTarget[] | undefined;

const ORIGINAL_NAMES: Readonly<Record<string, (modules: readonly string[]) => OriginalNames>> = {
  FluxTransformer2DModel: fluxOriginalNames,
  HunyuanVideoTransformer3DModel: hunyuanVideoOriginalNames,
  SD3Transformer2DModel: sd3OriginalNames,
  UNet2DConditionModel: unetOriginalNames,
};

/** Prefixes of peft's and kohya's names, and the component that each means. */
const DENOISER = /^(?:unet\.|transformer\.|diffusion_model\.|lora_unet_|lora_transformer_)(.+)$/s;
const TEXT_ENCODER = /^(?:(text_encoder(?:_\d)?)\.|lora_te([123])?_)(.+)$/s;
/** Of the second Stable Diffusion on, transformers' CLIP has it or not, and files as well. */
const TEXT_MODEL = "text_model.";
const SUFFIX = ".weight";

/** @throws {CheckpointError} if two tensors of the checkpoint would have the same name with underscores. */
export function loraTargets(checkpoint: Checkpoint): FindLoraTargets {
  const targets = new Map<string, readonly LoraTarget[]>();
  let denoiser: string | undefined;
  let t5: string | undefined;
  for (const { name: component, className, weights } of checkpoint.components()) {
    const isText = component.startsWith("text_encoder");
    if (component === "unet" || component === "transformer") denoiser = component;
    else if (!isText) continue;
    if (className === "T5EncoderModel") t5 = component;
    const modules = [...weights].filter(([name, { shape }]) => name.endsWith(SUFFIX) && shape.length >= 2)
      .map(([name]) => name.slice(0, -SUFFIX.length));
    const target = (module: string): LoraTarget => {
      const weight = module + SUFFIX;
      return { component, weight, shape: weights.get(weight)!.shape };
    };
    const add = (name: string, parts: readonly string[]) => {
      const key = keyOf(component, name);
      if (targets.has(key)) {
        throw new CheckpointError(
          `Cannot match LoRAs with ${checkpoint.folder} as two of its tensors read '${key}' with underscores`,
        );
      }
      targets.set(key, parts.map(target));
    };
    for (const module of modules) {
      add(module, [module]);
      if (!isText) continue;
      const other = module.startsWith(TEXT_MODEL) ? module.slice(TEXT_MODEL.length) : TEXT_MODEL + module;
      add(other, [module]);
    }
    for (const [name, parts] of ORIGINAL_NAMES[className]?.(modules) ?? []) {
      if (!targets.has(keyOf(component, name))) add(name, parts);
    }
  }
  const lookUp = (component: string | undefined, module: string) =>
    component === undefined ? undefined : targets.get(keyOf(component, module));
  return (module) => {
    const [, inDenoiser] = DENOISER.exec(module) ?? [];
    if (inDenoiser !== undefined) return lookUp(denoiser, inDenoiser);
    const [, encoder, number, inEncoder] = TEXT_ENCODER.exec(module) ?? [];
    if (inEncoder === undefined) return undefined;
    // Kohya's third encoder is T5, wherever the pipeline has it.
    const component = encoder ?? (number === "3" ? t5 : number === "2" ? "text_encoder_2" : "text_encoder");
    return lookUp(component, inEncoder);
  };
}

function keyOf(component: string, module: string): string {
  return `${component} ${module.replaceAll(".", "_")}`;
}
