// Finds the modules of a LoRA file in a checkpoint. Kohya writes underscores for dots, which
// cannot be reversed. Instead, every name that a tensor of the checkpoint may have is written
// with underscores and looked up.
import { CheckpointError } from "../checkpoint_error.ts";
import type { WeightEntry } from "../weights.ts";
import type { Checkpoint } from "../checkpoint.ts";
import type { FindOriginalNames } from "./original_names.ts";

/** A tensor of the checkpoint that a LoRA changes. */
export interface LoraTarget {
  component: string;
  weight: string;
  shape: WeightEntry["shape"];
  /** Name of the module's bias; undefined if it has none. */
  bias?: string | undefined;
  /** Whether the original model has the two halves of its rows in reverse order. */
  swapped?: boolean;
}

/** Finds the tensors of `module`: one tensor, or several whose rows follow each other in a fused tensor. */
export type FindLoraTargets = (module: string) => readonly LoraTarget[] | undefined;

/** Prefixes of peft's, kohya's, LyCORIS' and ComfyUI's names, and the component that each refers to. */
const DENOISER =
  /^(?:unet\.|transformer\.|diffusion_model\.|base_model\.model\.|lora_unet_|lora_transformer_|lycoris_)(.+)$/s;
const COMFY_CLIP = /^text_encoders\.clip_l\.transformer\.(.+)$/s;
const TEXT_ENCODER = /^(?:(text_encoder(?:_\d)?)\.|lora_te([123])?_)(.+)$/s;
/** Optional prefix. From Stable Diffusion 2 on, transformers' CLIP and LoRA files may have it or not. */
const TEXT_MODEL = "text_model.";
/** diffusers' own names of a text encoder's attention, before it used transformers' names. */
const OLD_ATTENTION: Readonly<Record<string, string>> = {
  q_proj: "to_q",
  k_proj: "to_k",
  v_proj: "to_v",
  out_proj: "to_out.0",
};
const SUFFIX = ".weight";

/** Options of {@linkcode loraTargets}. */
export interface LoraTargetsOptions {
  /** Whether the denoiser is transformer_2. @default false */
  second?: boolean | undefined;
  /** Names of the denoiser's own repository. @default none */
  originalNames?: FindOriginalNames | undefined;
}

/**
 * Returns a function that finds a LoRA's targets in `checkpoint`.
 * @throws {CheckpointError} if two tensors of the checkpoint have the same name with underscores.
 */
export function loraTargets(
  checkpoint: Checkpoint,
  { second = false, originalNames }: LoraTargetsOptions = {},
): FindLoraTargets {
  const denoisers = second ? ["transformer_2"] : ["unet", "transformer"];
  const targets = new Map<string, readonly LoraTarget[]>();
  /** Names from the denoiser's own repository, which files may use without a prefix. */
  const originals = new Set<string>();
  let denoiser: string | undefined;
  let t5: string | undefined;
  for (const { name: component, className, weights } of checkpoint.components()) {
    const isText = component.startsWith("text_encoder");
    if (denoisers.includes(component)) denoiser = component;
    else if (!isText) continue;
    if (className === "T5EncoderModel") t5 = component;
    const modules = [...weights].filter(([name, { shape }]) => name.endsWith(SUFFIX) && shape.length >= 2)
      .map(([name]) => name.slice(0, -SUFFIX.length));
    const target = (module: string): LoraTarget => {
      const weight = module + SUFFIX;
      const bias = weights.has(`${module}.bias`) ? `${module}.bias` : undefined;
      return { component, weight, shape: weights.get(weight)!.shape, bias };
    };
    const add = (name: string, parts: readonly string[], swapped = false) => {
      const key = keyOf(component, name);
      if (targets.has(key)) {
        throw new CheckpointError(
          `Cannot match LoRAs with ${checkpoint.folder} as two of its tensors read '${key}' with underscores`,
        );
      }
      targets.set(key, parts.map((part) => ({ ...target(part), swapped })));
    };
    for (const module of modules) {
      add(module, [module]);
      if (!isText) continue;
      const other = module.startsWith(TEXT_MODEL) ? module.slice(TEXT_MODEL.length) : TEXT_MODEL + module;
      add(other, [module]);
      const [, attention = "", projection = ""] = /^(.+\.self_attn\.)(\w+)$/.exec(module) ?? [];
      const old = Object.hasOwn(OLD_ATTENTION, projection) ? OLD_ATTENTION[projection]! : undefined;
      if (old !== undefined) {
        for (const name of [module, other]) {
          add(name.slice(0, -projection.length) + old, [attention + projection]);
        }
      }
    }
    if (isText) continue;
    for (const [name, { modules: parts, swapped }] of originalNames?.(modules) ?? []) {
      const key = keyOf(component, name);
      const isDiffusers = parts.length === 1 && parts[0] === name;
      if (targets.has(key) && !isDiffusers) continue;
      if (!isDiffusers) add(name, parts, swapped);
      originals.add(key);
    }
  }
  const lookUp = (component: string | undefined, module: string) =>
    component === undefined ? undefined : targets.get(keyOf(component, module));
  return (module) => {
    const [, inDenoiser] = DENOISER.exec(module) ?? [];
    if (inDenoiser !== undefined) return lookUp(denoiser, inDenoiser);
    const [, inClip] = COMFY_CLIP.exec(module) ?? [];
    if (inClip !== undefined) return lookUp("text_encoder", inClip);
    const [, encoder, number, inEncoder] = TEXT_ENCODER.exec(module) ?? [];
    if (inEncoder === undefined) {
      return denoiser !== undefined && originals.has(keyOf(denoiser, module))
        ? lookUp(denoiser, module)
        : undefined;
    }
    // Kohya's third encoder is T5, whatever its place in the pipeline.
    const component = encoder ?? (number === "3" ? t5 : number === "2" ? "text_encoder_2" : "text_encoder");
    return lookUp(component, inEncoder);
  };
}

function keyOf(component: string, module: string): string {
  return `${component} ${module.replaceAll(".", "_")}`;
}
