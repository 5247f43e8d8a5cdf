// The scales of a LoRA file that come from its metadata: the LoraConfig of each component, which
// save_lora_weights stores as "transformer.lora_alpha": 8, ...
import { CheckpointError } from "../checkpoint_error.ts";
import { readSafetensorsMetadata } from "../safetensors.ts";
import { matchModulePattern } from "./match_module_pattern.ts";

/** Scales of modules without a tensor `alpha`, by the modules' names in the file. */
export interface SavedScales {
  /** Returns peft's scale: alpha / rank, or alpha / sqrt(rank). alpha defaults to the rank. */
  ofMatrices(module: string, rank: number): number;
  /** Returns peft's scale of LoKr, alpha / rank: both are the config's, as the factors may be whole. */
  ofLokr(module: string): number;
}

/** Reads the scales from a file's metadata. @throws {CheckpointError} if the file's metadata is damaged. */
export function savedScales(path: string): SavedScales {
  const configs = readConfigs(path);
  return {
    ofMatrices(module, rank) {
      const setting = settingsOf(configs, module);
      const alpha = setting("lora_alpha", "alpha_pattern");
      if (typeof alpha !== "number") return 1;
      return alpha / (setting("use_rslora") === true ? Math.sqrt(rank) : rank);
    },
    ofLokr(module) {
      const setting = settingsOf(configs, module);
      const [alpha, rank] = [setting("alpha", "alpha_pattern"), setting("r", "rank_pattern")];
      return typeof alpha === "number" && typeof rank === "number" && rank > 0 ? alpha / rank : 1;
    },
  };
}

function readConfigs(path: string): Record<string, unknown> {
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

/** Returns a function that reads a setting of a module's component; `patterns` names its exceptions. */
function settingsOf(configs: Record<string, unknown>, module: string) {
  const dot = module.indexOf(".");
  const component = module.slice(0, dot);
  return (setting: string, patterns?: string): unknown => {
    const exceptions = Object.entries(configs[`${component}.${patterns}`] ?? {});
    const [, own] = exceptions.find(([pattern]) => matchModulePattern(pattern, module.slice(dot + 1))) ?? [];
    return own ?? configs[`${component}.${setting}`];
  };
}
