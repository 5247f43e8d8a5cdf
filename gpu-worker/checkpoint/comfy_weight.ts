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

interface LayerInit {
  tensors: ReadonlyMap<string, WeightEntry>;
  /** Name of the layer. */
  module: string;
  format: ComfyFormat;
}

/**
 * Returns a quantized layer's weight, or undefined if it is plain fp8.
 * @throws {CheckpointError} if the format is unknown, or its tensors are not as the format has them.
 */
export function comfyWeight(path: string, init: LayerInit): ComfyWeight | undefined {
  const layer = new Layer(path, init);
  const { kind, options } = layer;
  if (!Object.hasOwn(FP8, kind) && !Object.hasOwn(READERS, kind)) {
    throw layer.refuse(`is in ComfyUI's format ${showValue(kind)}, which we do not read`);
  }
  const wrong = wrongOption(kind, options);
  if (wrong !== undefined) {
    const option = `'${showValue(wrong)}' ${showValue(JSON.stringify(options[wrong]))}`;
    throw layer.refuse(`is in ComfyUI's format ${showValue(kind)} with ${option}, which we do not read`);
  }
  if (!Object.hasOwn(FP8, kind)) return READERS[kind]!(layer);
  layer.requireType(FP8[kind]!);
  return undefined;
}

/** A layer's weight and the tensors beside it. */
class Layer {
  readonly kind: string;
  readonly options: Record<string, unknown>;
  readonly weight: WeightEntry;
  readonly #path: string;
  readonly #init: LayerInit;

  constructor(path: string, init: LayerInit) {
    const { tensors, module, format } = init;
    const weight = tensors.get(`${module}.weight`);
    if (weight === undefined) {
      const name = showValue(`${module}.weight`);
      throw new CheckpointError(
        `Cannot use ${path} as it describes the quantization of '${name}', which it does not hold`,
      );
    }
    this.#path = path;
    this.#init = init;
    this.kind = format.format;
    this.options = optionsOf(format);
    this.weight = weight;
  }

  refuse(reason: string): CheckpointError {
    const name = showValue(`${this.#init.module}.weight`);
    return new CheckpointError(
      `Cannot use ${this.#path} as '${name}' ${reason}. Try the same model in bf16, fp8 or GGUF`,
    );
  }

  requireType(expected: string): void {
    const { dtype } = this.weight;
    if (dtype !== expected) {
      throw this.refuse(`must be ${expected} in ComfyUI's ${this.kind}, but is ${dtype}`);
    }
  }

  /** Returns the rows and columns of the weight. */
  requireMatrix(expected: string): [number, number] {
    this.requireType(expected);
    const { shape } = this.weight;
    if (shape.length !== 2) {
      throw this.refuse(`must be a matrix in ComfyUI's ${this.kind}, but is [${shape}]`);
    }
    return [shape[0]!, shape[1]!];
  }

  /** Returns the name of the layer's tensor `part`. */
  nameOf(part: string): string {
    return `${this.#init.module}.${part}`;
  }

  /** Returns the layer's tensor `part`. */
  beside(part: string): WeightEntry {
    const tensor = this.#init.tensors.get(this.nameOf(part));
    if (tensor === undefined) throw this.refuse(`is in ComfyUI's ${this.kind}, but has no '${part}'`);
    return tensor;
  }

  /** Returns the layer's scales for blocks of a matrix, in ComfyUI's order of tiles. */
  blockScales(blocks: "NVFP4" | "MXFP8", [rows, columns]: [number, number]): WeightEntry {
    const tensor = this.beside("weight_scale");
    const expected = tiledShape(rows, columns / BLOCK_TYPES[blocks].elements);
    const types = blocks === "NVFP4" ? ["float8_e4m3fn", "uint8"] : ["uint8"];
    if (!types.includes(tensor.dtype) || `${tensor.shape}` !== `${expected}`) {
      throw this.refuse(
        `must have block scales of ${types[0]} [${expected}] in ComfyUI's ${this.kind}, ` +
          `but has ${tensor.dtype} [${tensor.shape}]`,
      );
    }
    return tensor;
  }
}

const READERS: Readonly<Record<string, (layer: Layer) => ComfyWeight>> = {
  nvfp4: nvfp4Weight,
  mxfp8: mxfp8Weight,
  int8_tensorwise: int8Weight,
};

function nvfp4Weight(layer: Layer): ComfyWeight {
  const { weight } = layer;
  const [rows, bytes] = layer.requireMatrix("uint8");
  const shape: [number, number] = [rows, 2 * bytes];
  const tensor = layer.blockScales("NVFP4", shape);
  const name = layer.nameOf("weight_scale_2");
  const { scale, scales } = readScales(name, { tensor: layer.beside("weight_scale_2"), weight });
  if (scales !== undefined) throw layer.refuse("must have one number as 'weight_scale_2' in ComfyUI's nvfp4");
  return {
    entry: {
      ...weight,
      dtype: "float32",
      shape,
      blocks: "NVFP4",
      scales: { tensor, firstRow: 0, factor: scale! },
    },
    used: [layer.nameOf("weight_scale"), name],
  };
}

function mxfp8Weight(layer: Layer): ComfyWeight {
  const tensor = layer.blockScales("MXFP8", layer.requireMatrix("float8_e4m3fn"));
  return {
    entry: { ...layer.weight, dtype: "float32", blocks: "MXFP8", scales: { tensor, firstRow: 0 } },
    used: [layer.nameOf("weight_scale")],
  };
}

function int8Weight(layer: Layer): ComfyWeight {
  const { weight } = layer;
  const [rows, columns] = layer.requireMatrix("int8");
  const name = layer.nameOf("weight_scale");
  const scales = readScales(name, { tensor: layer.beside("weight_scale"), weight });
  const entry = { ...weight, dtype: "float32", ...scales } as const;
  const rotation = rotationOf(layer.options);
  if (rotation === undefined) return { entry: { ...entry, blocks: "INT8" }, used: [name] };
  if (!isPowerOfFour(rotation) || columns % rotation !== 0) {
    throw layer.refuse(
      `must have rows of whole groups in ComfyUI's ConvRot, but has [${rows},${columns}] and ${rotation}`,
    );
  }
  return { entry: { ...entry, blocks: "INT8_CONVROT", rotation }, used: [name] };
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
