// Reads a LoRA file: the modules it changes, their matrices and scales.
import { showValue } from "../../../sampler/mod.ts";
import { CheckpointError } from "../checkpoint_error.ts";
import { readSafetensorsHeader, type SafetensorsEntry } from "../safetensors.ts";
import type { WeightEntry } from "../weights.ts";
import { droppedTensors } from "./dropped_tensors.ts";
import { isLokrRole, type LokrFactors, lokrFactors } from "./lokr_factors.ts";
import type { LoraRules } from "./lora_rules.ts";
import { readScalar } from "./read_scalar.ts";
import { type SavedScales, savedScales } from "./saved_scales.ts";
import { type TensorRole, tensorRole } from "./tensor_role.ts";

/** A file's change of one module: of its weight and perhaps of its bias. */
export interface LoraModule {
  /** The name as the file spells it. */
  name: string;
  /** A product of two matrices, the change itself, or LoKr's Kronecker product. */
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

/** The tensors of one module. */
type Parts = Partial<Record<TensorRole["role"], SafetensorsEntry>>;

/** What the tensors of a file have in common. */
interface OpenFile {
  /** The path that the user gave, for errors. */
  path: string;
  /** The path without symlinks, for weights. */
  realPath: string;
  saved: SavedScales;
}

/**
 * Reads a LoRA file.
 * @param rules those of the checkpoint's family
 * @throws {CheckpointError} naming a tensor of an unsupported kind (LoHa, some LoKr),
 * or a module that lacks a matrix.
 */
export function readLora(path: string, rules: LoraRules = {}): LoraFile {
  const entries = readSafetensorsHeader(path);
  const fault = rules.faultOf?.(entries);
  if (fault !== undefined) throw new CheckpointError(`Cannot use LoRA ${path} as ${fault}`);
  const dropped = droppedTensors([...entries.keys()], rules);
  const modules = new Map<string, Parts>();
  for (const [key, entry] of entries) {
    if (dropped.has(key)) continue;
    const { module, role } = readName(path, { key, rules });
    modules.set(module, { ...modules.get(module), [role]: entry });
  }
  if (modules.size === 0) throw new CheckpointError(`Cannot use LoRA ${path} as it holds no tensors`);
  const file = { path, realPath: Deno.realPathSync(path), saved: savedScales(path) };
  return {
    modules: [...modules].map(([name, parts]) =>
      Object.keys(parts).some(isLokrRole)
        ? readLokr(file, { name, parts })
        : readModule(file, { name, parts })
    ),
    notes: notesOf(path, dropped),
  };
}

/** Returns the module and the role that a tensor's name stands for. */
function readName(path: string, { key, rules }: { key: string; rules: LoraRules }): TensorRole {
  const found = tensorRole(key);
  if (found !== undefined) {
    const { role } = found;
    const isWhole = role === "whole" || role === "plainBias";
    const isRead = isLokrRole(role) ? rules.readsLokr : isWhole ? rules.readsWhole : true;
    if (isRead) return found;
  }
  throw new CheckpointError(
    `Cannot use LoRA ${path} as '${showValue(key)}' is none of lora_A, lora_B, lora_down, lora_up and alpha${
      unsupportedKind(key)
    }`,
  );
}

/** Says more about kinds of files that people have. */
function unsupportedKind(key: string): string {
  if (/\.lokr_(?!t)/.test(key)) return ". LoKr is read for FLUX.2 and Z-Image alone, as in diffusers";
  if (/\.(?:hada_|lokr_t)/.test(key)) return ". LoHa and Tucker factors of LyCORIS are not supported";
  return "";
}

function readModule(file: OpenFile, { name, parts }: { name: string; parts: Parts }): LoraModule {
  const { down, up, whole, alpha, bias, plainBias, magnitude } = parts;
  const place = placeIn(file);
  const biasOf = (scale: number) => {
    if (bias !== undefined) return { bias: { entry: place(bias), scale } };
    return plainBias === undefined ? {} : { bias: { entry: place(plainBias), scale: 1 } };
  };
  if (whole !== undefined && down === undefined && up === undefined && magnitude === undefined) {
    return { name, change: { whole: place(whole) }, scale: 1, ...biasOf(1) };
  }
  if (down === undefined || up === undefined || whole !== undefined) {
    const fault = down === undefined
      ? "lacks lora_A or lora_down"
      : up === undefined
      ? "lacks lora_B or lora_up"
      : "has a diff beside its matrices";
    throw new CheckpointError(`Cannot use LoRA ${file.path} as '${showValue(name)}' ${fault}`);
  }
  const rank = down.shape[0] ?? 0;
  const scale = alpha === undefined
    ? file.saved.ofMatrices(name, rank)
    : readAlpha(file, { name, alpha }) / rank;
  const change = {
    down: place(down),
    up: place(up),
    // A convolution's has the shape [1, rows, 1, 1].
    ...magnitude && { magnitude: { ...place(magnitude), shape: magnitude.shape.filter((n) => n !== 1) } },
  };
  return { name, change, scale, ...biasOf(scale) };
}

function readLokr(
  file: OpenFile,
  { name, parts: { alpha, ...parts } }: { name: string; parts: Parts },
): LoraModule {
  const factors = lokrFactors(parts, placeIn(file));
  const hasOthers = !Object.keys(parts).every(isLokrRole);
  if (typeof factors === "string" || hasOthers) {
    const fault = typeof factors === "string" ? `lacks ${factors}` : "has other tensors beside LoKr's";
    throw new CheckpointError(`Cannot use LoRA ${file.path} as '${showValue(name)}' ${fault}`);
  }
  const { left, right, rank } = factors;
  const scale = alpha === undefined
    ? file.saved.ofLokr(name)
    : rank === undefined
    ? 1
    : readAlpha(file, { name, alpha }) / rank;
  return { name, change: { left, right }, scale };
}

function placeIn({ realPath }: OpenFile): (entry: SafetensorsEntry) => WeightEntry {
  return (entry) => ({ ...entry, path: realPath });
}

function readAlpha(
  { realPath }: OpenFile,
  { name, alpha }: { name: string; alpha: SafetensorsEntry },
): number {
  return readScalar(realPath, { key: `${name}.alpha`, entry: alpha });
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
