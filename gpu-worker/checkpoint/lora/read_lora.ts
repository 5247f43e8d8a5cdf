// Reads a LoRA file: the modules it changes, their matrices and scales.
import { showValue } from "../../../sampler/mod.ts";
import { CheckpointError } from "../checkpoint_error.ts";
import { readSafetensorsHeader, readSafetensorsMetadata, type SafetensorsEntry } from "../safetensors.ts";
import type { WeightEntry } from "../weights.ts";
import { droppedTensors } from "./dropped_tensors.ts";
import { matchModulePattern } from "./match_module_pattern.ts";
import { isLokrRole, type LokrFactors, lokrFactors, readsLokr } from "./lokr_factors.ts";
import { readScalar } from "./read_scalar.ts";
import { type TensorRole, tensorRole } from "./tensor_role.ts";

/**
 * A file's change of one module: a product of two matrices (or, for Wan's head, a whole
 * matrix; or LoKr's Kronecker product), and a change of its bias.
 */
export interface LoraModule {
  /** The name as the file spells it. */
  name: string;
  change:
    | { down: WeightEntry; up: WeightEntry; magnitude?: WeightEntry }
    | { whole: WeightEntry }
    | Pick<LokrFactors, "left" | "right">;
  /** The file's own scale: alpha / rank. */
  scale: number;
  bias?: { entry: WeightEntry; scale: number };
}

export interface LoraFile {
  modules: LoraModule[];
  /** One sentence for each kind of tensors that is ignored, as in diffusers. */
  notes: string[];
}

export interface ReadLoraOptions {
  /** Class of the checkpoint's denoiser. It decides which tensors are ignored. */
  denoiserClass?: string | undefined;
}

type Parts = Partial<Record<TensorRole["role"], SafetensorsEntry>>;

/**
 * Reads a LoRA file.
 * @throws {CheckpointError} naming a tensor of an unsupported kind (LoHa, some LoKr),
 * or a module that lacks a matrix.
 */
export function readLora(path: string, { denoiserClass }: ReadLoraOptions = {}): LoraFile {
  const modules = new Map<string, Parts>();
  const entries = readSafetensorsHeader(path);
  assertNoControl(path, { entries, denoiserClass });
  const dropped = droppedTensors([...entries.keys()], denoiserClass);
  const file = Deno.realPathSync(path);
  for (const [key, entry] of entries) {
    if (dropped.has(key)) continue;
    const { module, role } = tensorRole(key) ?? {};
    // Only Wan's trainers write changes that are not products of matrices.
    const isPlain = role === "whole" || role === "plainBias";
    if (
      module === undefined || role === undefined ||
      (isPlain && denoiserClass !== "WanTransformer3DModel") ||
      (isLokrRole(role) && !readsLokr(denoiserClass))
    ) {
      throw new CheckpointError(
        `Cannot use LoRA ${path} as '${
          showValue(key)
        }' is none of lora_A, lora_B, lora_down, lora_up and alpha${unsupportedKind(key)}`,
      );
    }
    modules.set(module, { ...modules.get(module), [role]: entry });
  }
  if (modules.size === 0) throw new CheckpointError(`Cannot use LoRA ${path} as it holds no tensors`);
  const saved = savedConfigs(path);
  const place = (entry: SafetensorsEntry): WeightEntry => ({ ...entry, path: file });
  const readLokr = (name: string, { alpha, ...parts }: Parts): LoraModule => {
    const factors = lokrFactors(parts, place);
    const other = Object.keys(parts).find((role) => !isLokrRole(role as TensorRole["role"]));
    if (typeof factors === "string" || other !== undefined) {
      const fault = typeof factors === "string" ? `lacks ${factors}` : "has other tensors beside LoKr's";
      throw new CheckpointError(`Cannot use LoRA ${path} as '${showValue(name)}' ${fault}`);
    }
    const { left, right, rank } = factors;
    const scale = alpha === undefined
      ? savedLokrScale(saved, name)
      : rank === undefined
      ? 1
      : readScalar(file, { key: `${name}.alpha`, entry: alpha }) / rank;
    return { name, change: { left, right }, scale };
  };
  const read = (name: string, parts: Parts): LoraModule => {
    const { down, up, whole, alpha, bias, plainBias, magnitude } = parts;
    if (Object.keys(parts).some((role) => isLokrRole(role as TensorRole["role"]))) {
      return readLokr(name, parts);
    }
    const biasOf = (scale: number) => {
      if (bias !== undefined) return { bias: { entry: place(bias), scale } };
      return plainBias === undefined ? {} : { bias: { entry: place(plainBias), scale: 1 } };
    };
    if (whole !== undefined && down === undefined && up === undefined && magnitude === undefined) {
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
    const change = {
      down: place(down),
      up: place(up),
      // A convolution's has the shape [1, rows, 1, 1].
      ...magnitude && { magnitude: { ...place(magnitude), shape: magnitude.shape.filter((n) => n !== 1) } },
    };
    return { name, change, scale, ...biasOf(scale) };
  };
  return { modules: [...modules].map(([name, parts]) => read(name, parts)), notes: notesOf(path, dropped) };
}

/** Channels of a FLUX latent beside those of a control picture, in patches. */
const CONTROL_CHANNELS = 128;

/** diffusers widens the first layer for such a file, and takes the control picture with another pipeline. */
function assertNoControl(
  path: string,
  { entries, denoiserClass }: ReadLoraOptions & { entries: ReadonlyMap<string, SafetensorsEntry> },
): void {
  if (denoiserClass !== "FluxTransformer2DModel") return;
  for (const [key, { shape }] of entries) {
    const { module, role } = tensorRole(key) ?? {};
    const isFirst = role === "down" && /(^|[._])(x_embedder|img_in)$/.test(module!);
    if (!isFirst || shape[1] !== CONTROL_CHANNELS) continue;
    throw new CheckpointError(
      `Cannot use LoRA ${path} as it is a control LoRA: ` +
        `'${showValue(key)}' reads ${CONTROL_CHANNELS} channels, those of a control picture too. ` +
        "Control pictures are not supported",
    );
  }
}

/** Returns one sentence for each kind of ignored tensors. */
function notesOf(path: string, dropped: ReadonlyMap<string, string>): string[] {
  const kinds = Map.groupBy(dropped, ([, reason]) => reason);
  return [...kinds].map(([reason, [first, ...more]]) =>
    `LoRA ${path}: left out ${reason}: '${showValue(first![0])}'${
      more.length === 0 ? "" : ` and ${more.length} more`
    }`
  );
}

/**
 * Returns the LoraConfig of each component, which save_lora_weights stores in the file:
 * "transformer.lora_alpha": 8, ...
 */
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

/** Returns peft's scale: alpha / rank, or alpha / sqrt(rank). alpha defaults to the rank. */
function savedScale(
  saved: Record<string, unknown>,
  { name, rank }: { name: string; rank: number },
): number {
  const of = savedSettings(saved, name);
  const alpha = of("lora_alpha", "alpha_pattern");
  if (typeof alpha !== "number") return 1;
  return alpha / (of("use_rslora") === true ? Math.sqrt(rank) : rank);
}

/** Returns peft's scale of LoKr, alpha / rank: both are the config's, as the factors may be whole. */
function savedLokrScale(saved: Record<string, unknown>, name: string): number {
  const of = savedSettings(saved, name);
  const [alpha, rank] = [of("alpha", "alpha_pattern"), of("r", "rank_pattern")];
  return typeof alpha === "number" && typeof rank === "number" && rank > 0 ? alpha / rank : 1;
}

/** Returns a function that reads a setting of a module's component; `patterns` names its exceptions. */
function savedSettings(saved: Record<string, unknown>, name: string) {
  const dot = name.indexOf(".");
  const component = name.slice(0, dot);
  return (setting: string, patterns?: string): unknown => {
    const exceptions = Object.entries(saved[`${component}.${patterns}`] ?? {});
    const [, own] = exceptions.find(([pattern]) => matchModulePattern(pattern, name.slice(dot + 1))) ?? [];
    return own ?? saved[`${component}.${setting}`];
  };
}

/** Says more about kinds of files that people have. */
function unsupportedKind(key: string): string {
  if (/\.lokr_(?!t)/.test(key)) return ". LoKr is read for FLUX.2 and Z-Image alone, as in diffusers";
  if (/\.(?:hada_|lokr_t)/.test(key)) return ". LoHa and Tucker factors of LyCORIS are not supported";
  return "";
}
