// ComfyUI's formats of quantized layers (comfy/quant_ops.py, comfy-kitchen). Their numbers stay where they
// lie: an entry says how to read them.
import { showValue } from "../../sampler/mod.ts";
import { tiledShape } from "./blocks/scale_tiles.ts";
import { BLOCK_TYPES } from "./block_types.ts";
import { CheckpointError } from "./checkpoint_error.ts";
import type { ComfyFormat } from "./comfy_formats.ts";
import { readScales } from "./read_scales.ts";
import type { WeightEntry } from "./weight_entry.ts";

/** fp8 of one scale a tensor, and convert_to_quant's of one a row, are read without the description. */
const FP8: Readonly<Record<string, string>> = {
  float8_e4m3fn: "float8_e4m3fn",
  float8_e4m3fn_rowwise: "float8_e4m3fn",
  float8_e5m2: "float8_e5m2",
};
const OTHERS = ["nvfp4", "mxfp8", "int8_tensorwise"];
/** Options that change no weight. */
const HARMLESS = [
  "format",
  "full_precision_matrix_mult",
  "in_features",
  "orig_dtype",
  "orig_shape",
  "out_features",
  "params",
  "per_row",
];
/** Names of the number of columns that share a scale. */
const BLOCK_OPTIONS = ["group_size", "block_size"];
const ROTATION_OPTIONS = ["convrot", "convrot_groupsize"];
const DEFAULT_ROTATION = 256;

export interface ComfyWeight {
  entry: WeightEntry;
  /** Names of the tensors that the entry refers to. */
  used: readonly string[];
}

interface Layer {
  tensors: ReadonlyMap<string, WeightEntry>;
  /** Name of the layer. */
  module: string;
  format: ComfyFormat;
}

/**
 * Returns a quantized layer's weight, or undefined if it is plain fp8.
 * @throws {CheckpointError} if the format is unknown, or its tensors are not as the format has them.
 */
export function comfyWeight(path: string, { tensors, module, format }: Layer): ComfyWeight | undefined {
  const name = `${module}.weight`;
  const refuse = (reason: string) =>
    new CheckpointError(
      `Cannot use ${path} as '${showValue(name)}' ${reason}. Try the same model in bf16, fp8 or GGUF`,
    );
  const kind = format.format;
  const weight = tensors.get(name);
  if (weight === undefined) {
    throw new CheckpointError(
      `Cannot use ${path} as it describes the quantization of '${showValue(name)}', which it does not hold`,
    );
  }
  const { dtype, shape: [rows = 0, columns = 0] } = weight;
  const requireType = (expected: string) => {
    if (dtype !== expected) throw refuse(`must be ${expected} in ComfyUI's ${kind}, but is ${dtype}`);
    if (weight.shape.length !== 2) {
      throw refuse(`must be a matrix in ComfyUI's ${kind}, but is [${weight.shape}]`);
    }
  };
  if (!Object.hasOwn(FP8, kind) && !OTHERS.includes(kind)) {
    throw refuse(`is in ComfyUI's format ${showValue(kind)}, which we do not read`);
  }
  const options = optionsOf(format);
  const wrong = wrongOption(kind, options);
  if (wrong !== undefined) {
    throw refuse(
      `is in ComfyUI's format ${showValue(kind)} with '${showValue(wrong)}' ${
        showValue(JSON.stringify(options[wrong]))
      }, which we do not read`,
    );
  }
  if (Object.hasOwn(FP8, kind)) {
    if (dtype !== FP8[kind]) throw refuse(`must be ${FP8[kind]} in ComfyUI's ${kind}, but is ${dtype}`);
    return undefined;
  }
  /** Returns the tensor `module`.`part`. */
  const beside = (part: string): WeightEntry => {
    const tensor = tensors.get(`${module}.${part}`);
    if (tensor === undefined) throw refuse(`is in ComfyUI's ${kind}, but has no '${part}'`);
    return tensor;
  };
  const blockScales = (blocks: "NVFP4" | "MXFP8", elements: number): WeightEntry => {
    const tensor = beside("weight_scale");
    const expected = tiledShape(rows, elements / BLOCK_TYPES[blocks].elements);
    const types = blocks === "NVFP4" ? ["float8_e4m3fn", "uint8"] : ["uint8"];
    if (!types.includes(tensor.dtype) || `${tensor.shape}` !== `${expected}`) {
      throw refuse(
        `must have block scales of ${
          types[0]
        } [${expected}] in ComfyUI's ${kind}, but has ${tensor.dtype} [${tensor.shape}]`,
      );
    }
    return tensor;
  };
  const decoded = { ...weight, dtype: "float32" } as const;
  switch (kind) {
    case "nvfp4": {
      requireType("uint8");
      const tensor = blockScales("NVFP4", 2 * columns);
      const { scale, scales } = readScales(`${module}.weight_scale_2`, {
        tensor: beside("weight_scale_2"),
        weight,
      });
      if (scales !== undefined) throw refuse("must have one number as 'weight_scale_2' in ComfyUI's nvfp4");
      return {
        entry: {
          ...decoded,
          shape: [rows, 2 * columns],
          blocks: "NVFP4",
          scales: { tensor, firstRow: 0, factor: scale! },
        },
        used: [`${module}.weight_scale`, `${module}.weight_scale_2`],
      };
    }
    case "mxfp8":
      requireType("float8_e4m3fn");
      return {
        entry: {
          ...decoded,
          blocks: "MXFP8",
          scales: { tensor: blockScales("MXFP8", columns), firstRow: 0 },
        },
        used: [`${module}.weight_scale`],
      };
    default: {
      requireType("int8");
      const name = `${module}.weight_scale`;
      const entry = { ...decoded, ...readScales(name, { tensor: beside("weight_scale"), weight }) };
      const rotation = rotationOf(options);
      if (rotation === undefined) return { entry: { ...entry, blocks: "INT8" }, used: [name] };
      if (!isPowerOfFour(rotation) || columns % rotation !== 0) {
        throw refuse(
          `must have rows of whole groups in ComfyUI's ConvRot, but has [${weight.shape}] and ${rotation}`,
        );
      }
      return { entry: { ...entry, blocks: "INT8_CONVROT", rotation }, used: [name] };
    }
  }
}

/** Returns the options of a format: older files have them one level deeper. */
function optionsOf(format: ComfyFormat): Record<string, unknown> {
  const { params } = format;
  return { ...(typeof params === "object" ? params : {}), ...format };
}

/** Returns the name of an option that changes what the numbers mean. */
function wrongOption(kind: string, options: Record<string, unknown>): string | undefined {
  const block = { nvfp4: BLOCK_TYPES.NVFP4, mxfp8: BLOCK_TYPES.MXFP8 }[kind]?.elements;
  return Object.entries(options).find(([key, value]) => {
    if (HARMLESS.includes(key) || value === null || value === false) return false;
    if (ROTATION_OPTIONS.includes(key)) return kind !== "int8_tensorwise";
    return !BLOCK_OPTIONS.includes(key) || value !== block;
  })?.[0];
}

/** Returns the columns of a rotated group, or undefined if nothing is rotated. */
function rotationOf(options: Record<string, unknown>): number | undefined {
  if (!options["convrot"]) return undefined;
  return Number(options["convrot_groupsize"] ?? DEFAULT_ROTATION);
}

function isPowerOfFour(n: number): boolean {
  return Number.isInteger(n) && n >= 4 && Number.isInteger(Math.log2(n) / 2);
}
