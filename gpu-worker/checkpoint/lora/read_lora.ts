// Reads a LoRA file: which modules it changes, by which matrices, how much.
import { showValue } from "../../../sampler/mod.ts";
import { CheckpointError } from "../checkpoint_error.ts";
import { readSafetensorsHeader, readSafetensorsMetadata, type SafetensorsEntry } from "../safetensors.ts";
import type { WeightEntry } from "../weights.ts";
import { droppedTensors } from "./dropped_tensors.ts";
import { matchModulePattern } from "./match_module_pattern.ts";
import { readScalar } from "./read_scalar.ts";
import { type TensorRole, tensorRole } from "./tensor_role.ts";

/** What a file adds to one module: a product of two matrices or, of Wan's head, a whole one; and to its bias. */
export interface LoraModule {
  /** As the file spells it. */
  name: string;
  change: { down: WeightEntry; up: WeightEntry } | { whole: WeightEntry };
  /** The file's own: alpha / rank. */
  scale: number;
  bias?: { entry: WeightEntry; scale: number };
}

export interface LoraFile {
  modules: LoraModule[];
  /** What diffusers leaves out as well, a sentence each. */
  notes: string[];
}

export interface ReadLoraOptions {
  /** Class of the checkpoint's denoiser, which decides what is left out. */
  denoiserClass?: string | undefined;
}

type Parts = Partial<Record<TensorRole["role"], SafetensorsEntry>>;

/**
 * @throws {CheckpointError} naming a tensor that is no part of a LoRA as we know it (DoRA, LoHa, LoKr), or a module
 * that lacks a matrix.
 */
export function readLora(path: string, { denoiserClass }: ReadLoraOptions = {}): LoraFile {
  const modules = new Map<string, Parts>();
  const entries = readSafetensorsHeader(path);
  const dropped = droppedTensors([...entries.keys()], denoiserClass);
  const file = Deno.realPathSync(path);
  for (const [key, entry] of entries) {
    if (dropped.has(key)) continue;
    const { module, role } = tensorRole(key) ?? {};
    // Only Wan's trainers write changes that are no product of matrices.
    const isPlain = role === "whole" || role === "plainBias";
    if (
      module === undefined || role === undefined || (isPlain && denoiserClass !== "WanTransformer3DModel")
    ) {
      throw new CheckpointError(
        `Cannot use LoRA ${path} as '${
          showValue(key)
        }' is none of lora_A, lora_B, lora_down, lora_up and alpha`,
      );
    }
    modules.set(module, { ...modules.get(module), [role]: entry });
  }
  if (modules.size === 0) throw new CheckpointError(`Cannot use LoRA ${path} as it holds no tensors`);
  const saved = savedConfigs(path);
  const read = (name: string, { down, up, whole, alpha, bias, plainBias }: Parts): LoraModule => {
    const place = (entry: SafetensorsEntry): WeightEntry => ({ ...entry, path: file });
    const biasOf = (scale: number) => {
      if (bias !== undefined) return { bias: { entry: place(bias), scale } };
      return plainBias === undefined ? {} : { bias: { entry: place(plainBias), scale: 1 } };
    };
    if (whole !== undefined && down === undefined && up === undefined) {
      return { name, change: { whole: place(whole) }, scale: 1, ...biasOf(1) };
    }
    if (down === undefined || up === undefined || whole !== undefined) {
      const lack = down === undefined ? "lacks lora_A or lora_down" : "lacks lora_B or lora_up";
      throw new CheckpointError(
        `Cannot use LoRA ${path} as '${showValue(name)}' ${
          down && up ? "has a diff beside its matrices" : lack
        }`,
      );
    }
    const rank = down.shape[0] ?? 0;
    const scale = alpha === undefined
      ? savedScale(saved, { name, rank })
      : readScalar(file, { key: `${name}.alpha`, entry: alpha }) / rank;
    return { name, change: { down: place(down), up: place(up) }, scale, ...biasOf(scale) };
  };
  return { modules: [...modules].map(([name, parts]) => read(name, parts)), notes: notesOf(path, dropped) };
}

/** One for each kind of what was left out. */
function notesOf(path: string, dropped: ReadonlyMap<string, string>): string[] {
  const kinds = Map.groupBy(dropped, ([, reason]) => reason);
  return [...kinds].map(([reason, [first, ...more]]) =>
    `LoRA ${path}: left out ${reason}: '${showValue(first![0])}'${
      more.length === 0 ? "" : ` and ${more.length} more`
    }`
  );
}

/** The LoraConfig of each component, as save_lora_weights leaves it in the file: "transformer.lora_alpha": 8, ... */
function savedConfigs(path: string): Record<string, unknown> {
  const text = readSafetensorsMetadata(path)["lora_adapter_metadata"];
  if (text === undefined) return {};
  try {
    const configs = JSON.parse(text);
    if (typeof configs === "object" && configs !== null && !Array.isArray(configs)) return configs;
  } catch (cause) {
    throw new CheckpointError(`Cannot use LoRA ${path} as its lora_adapter_metadata is not JSON`, { cause });
  }
  throw new CheckpointError(`Cannot use LoRA ${path} as its lora_adapter_metadata is not a JSON object`);
}

/** peft's scaling: alpha / rank, or alpha / sqrt(rank); alpha is the rank where nothing is said. */
function savedScale(
  saved: Record<string, unknown>,
  { name, rank }: { name: string; rank: number },
): number {
  const dot = name.indexOf(".");
  const component = name.slice(0, dot);
  const patterns = Object.entries(saved[`${component}.alpha_pattern`] ?? {});
  const [, own] = patterns.find(([pattern]) => matchModulePattern(pattern, name.slice(dot + 1))) ?? [];
  const alpha = own ?? saved[`${component}.lora_alpha`];
  if (typeof alpha !== "number") return 1;
  return alpha / (saved[`${component}.use_rslora`] === true ? Math.sqrt(rank) : rank);
}
