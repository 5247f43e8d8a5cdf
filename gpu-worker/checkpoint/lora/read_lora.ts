// Reads a LoRA file: which modules it changes, by which matrices, how much. Three namings of the same (arXiv 2106.09685):
// peft (X.lora_A.weight), diffusers before peft (X.lora.down.weight), kohya's sd-scripts (X_Y.lora_down.weight).
import { showValue } from "../../../sampler/mod.ts";
import { CheckpointError } from "../checkpoint_error.ts";
import { readSafetensorsHeader, readSafetensorsMetadata, type SafetensorsEntry } from "../safetensors.ts";
import type { LowRankAddition } from "../weights.ts";
import { matchModulePattern } from "./match_module_pattern.ts";
import { readScalar } from "./read_scalar.ts";

/** What a file adds to one module; `scale` is the file's own, alpha / rank. */
export interface LoraModule extends LowRankAddition {
  /** As the file spells it. */
  name: string;
}

const MATRIX = /^(.+)\.(?:(lora_A|lora_down|lora\.down)|lora_B|lora_up|lora\.up)\.weight$/s;
const ALPHA = /^(.+)\.alpha$/s;

interface Parts {
  down?: SafetensorsEntry;
  up?: SafetensorsEntry;
  alpha?: number;
}

/**
 * @throws {CheckpointError} naming a tensor that is no part of a LoRA as we know it (DoRA, LoHa, LoKr, biases), or a module
 * that lacks a matrix.
 */
export function readLora(path: string): LoraModule[] {
  const modules = new Map<string, Parts>();
  const change = (name: string, part: Parts) => modules.set(name, { ...modules.get(name), ...part });
  const entries = readSafetensorsHeader(path);
  const file = Deno.realPathSync(path);
  for (const [key, entry] of entries) {
    const [, module, isDown] = MATRIX.exec(key) ?? [];
    const [, scaled] = ALPHA.exec(key) ?? [];
    if (module !== undefined) change(module, isDown === undefined ? { up: entry } : { down: entry });
    else if (scaled !== undefined) change(scaled, { alpha: readScalar(file, { key, entry }) });
    else {
      throw new CheckpointError(
        `Cannot use LoRA ${path} as '${
          showValue(key)
        }' is none of lora_A, lora_B, lora_down, lora_up and alpha`,
      );
    }
  }
  if (modules.size === 0) throw new CheckpointError(`Cannot use LoRA ${path} as it holds no tensors`);
  const saved = savedConfigs(path);
  return [...modules].map(([name, { down, up, alpha }]) => {
    if (down === undefined || up === undefined) {
      throw new CheckpointError(
        `Cannot use LoRA ${path} as '${name}' lacks ${
          down === undefined ? "lora_A or lora_down" : "lora_B or lora_up"
        }`,
      );
    }
    const rank = down.shape[0] ?? 0;
    const scale = alpha === undefined ? savedScale(saved, { name, rank }) : alpha / rank;
    return { name, down: { ...down, path: file }, up: { ...up, path: file }, scale };
  });
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
