// Finds the modules of a LoRA file in a checkpoint. Kohya writes underscores for dots, which
// cannot be reversed. Instead, every name that a tensor of the checkpoint may have is written
// with underscores and looked up.
import { CheckpointError } from "../checkpoint_error.ts";
import type { WeightEntry } from "../weights.ts";
import type { Checkpoint } from "../checkpoint.ts";
import type { LoraRules } from "./lora_rules.ts";

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

interface LoraTargetsOptions {
  /** Whether the denoiser is transformer_2. @default false */
  second?: boolean | undefined;
  /** Those of the checkpoint's family. */
  rules: LoraRules;
}

type Component = ReturnType<Checkpoint["components"]>[number];

/**
 * Returns a function that finds a LoRA's targets in `checkpoint`.
 * @throws {CheckpointError} if two tensors of the checkpoint have the same name with underscores.
 */
export function loraTargets(
  checkpoint: Checkpoint,
  { second = false, rules }: LoraTargetsOptions,
): FindLoraTargets {
  const denoisers = second ? ["transformer_2"] : ["unet", "transformer"];
  const table = new TargetTable(checkpoint.folder);
  let denoiser: string | undefined;
  let t5: string | undefined;
  for (const component of checkpoint.components()) {
    const { name, className } = component;
    if (denoisers.includes(name)) {
      table.addDenoiser(component, rules);
      denoiser = name;
    } else if (name.startsWith("text_encoder")) {
      table.addTextEncoder(component);
      if (className === "T5EncoderModel") t5 = name;
    }
  }
  return (module) => {
    const [, inDenoiser] = DENOISER.exec(module) ?? [];
    if (inDenoiser !== undefined) return table.find(denoiser, inDenoiser);
    const [, inClip] = COMFY_CLIP.exec(module) ?? [];
    if (inClip !== undefined) return table.find("text_encoder", inClip);
    const [, encoder, number, inEncoder] = TEXT_ENCODER.exec(module) ?? [];
    if (inEncoder === undefined) return table.findOriginal(denoiser, module);
    // Kohya's third encoder is T5, whatever its place in the pipeline.
    const component = encoder ?? (number === "3" ? t5 : number === "2" ? "text_encoder_2" : "text_encoder");
    return table.find(component, inEncoder);
  };
}

/** The targets of a checkpoint, by component and name with underscores. */
class TargetTable {
  /** The checkpoint's folder, for errors. */
  readonly #folder: string;
  readonly #targets = new Map<string, readonly LoraTarget[]>();
  /** Names from the denoiser's own repository, which files may use without a prefix. */
  readonly #originals = new Set<string>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  addDenoiser(component: Component, { originalNames }: LoraRules): void {
    const modules = modulesOf(component);
    for (const module of modules) this.#add(module, [targetOf(component, module)]);
    for (const [name, { modules: parts, swapped = false }] of originalNames?.(modules) ?? []) {
      const key = keyOf(component.name, name);
      const isDiffusers = parts.length === 1 && parts[0] === name;
      if (this.#targets.has(key) && !isDiffusers) continue;
      if (!isDiffusers) this.#add(name, parts.map((part) => ({ ...targetOf(component, part), swapped })));
      this.#originals.add(key);
    }
  }

  addTextEncoder(component: Component): void {
    for (const module of modulesOf(component)) {
      for (const name of namesInText(module)) this.#add(name, [targetOf(component, module)]);
    }
  }

  find(component: string | undefined, module: string): readonly LoraTarget[] | undefined {
    return component === undefined ? undefined : this.#targets.get(keyOf(component, module));
  }

  /** Finds a name without a prefix. */
  findOriginal(component: string | undefined, module: string): readonly LoraTarget[] | undefined {
    if (component === undefined || !this.#originals.has(keyOf(component, module))) return undefined;
    return this.find(component, module);
  }

  #add(name: string, targets: readonly LoraTarget[]): void {
    const key = keyOf(targets[0]!.component, name);
    if (this.#targets.has(key)) {
      throw new CheckpointError(
        `Cannot match LoRAs with ${this.#folder} as two of its tensors read '${key}' with underscores`,
      );
    }
    this.#targets.set(key, targets);
  }
}

/** Returns the modules with a matrix or a kernel. */
function modulesOf({ weights }: Component): string[] {
  return [...weights].filter(([name, { shape }]) => name.endsWith(SUFFIX) && shape.length >= 2)
    .map(([name]) => name.slice(0, -SUFFIX.length));
}

function targetOf({ name, weights }: Component, module: string): LoraTarget {
  const weight = module + SUFFIX;
  const bias = weights.has(`${module}.bias`) ? `${module}.bias` : undefined;
  return { component: name, weight, shape: weights.get(weight)!.shape, bias };
}

/** Returns the names that files have for a text encoder's module. */
function namesInText(module: string): string[] {
  const other = module.startsWith(TEXT_MODEL) ? module.slice(TEXT_MODEL.length) : TEXT_MODEL + module;
  const names = [module, other];
  const [, projection = ""] = /.\.self_attn\.(\w+)$/.exec(module) ?? [];
  if (!Object.hasOwn(OLD_ATTENTION, projection)) return names;
  return [...names, ...names.map((name) => name.slice(0, -projection.length) + OLD_ATTENTION[projection])];
}

function keyOf(component: string, module: string): string {
  return `${component} ${module.replaceAll(".", "_")}`;
}
