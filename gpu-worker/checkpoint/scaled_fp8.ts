// Scales of fp8 files. A scaled file keeps w / s in fp8 and s beside it, one number for each tensor.
// Weights that are quantized in other ways are refused, as their numbers alone would draw another picture.
import { showValue } from "../../sampler/mod.ts";
import type { DType } from "../runtime/dtype.ts";
import { CheckpointError } from "./checkpoint_error.ts";
import { readValues } from "./read_values.ts";
import type { WeightEntry } from "./weight_entry.ts";

const SCALE = /^(.*)\.(?:scale_weight|weight_scale)$/s;
/** Scales of activations, which are not rounded to fp8 here, and a description that the tensors repeat. */
const IGNORED = /\.(?:scale_input|input_scale|comfy_quant)$/;
const COMFY = /^(.*)\.comfy_quant$/s;
/** Says that every matrix in fp8 has a scale. */
const MARKER = /(?:^|\.)scaled_fp8$/;

/** A tensor beside a weight that says how it was quantized, whatever the program calls it. */
const COMPANION = /^(.*?)\.(?:weight[._].+|[^.]*(?:scale|zero_?point|absmax|quant|SCB)[^.]*)$/s;
/** Types of numbers that no network is trained in. */
const WHOLE_NUMBERS: readonly DType[] = ["int8", "uint8", "int32", "int64", "bool"];

/**
 * Returns the tensors of a network, or of the file at `path`, with their scales, and without the tensors
 * that hold them.
 * @throws {CheckpointError} if a scale is missing, belongs to no tensor, or is not one finite number, or if
 * the file is quantized in another way.
 */
export function foldScales(
  path: string,
  tensors: ReadonlyMap<string, WeightEntry>,
): Map<string, WeightEntry> {
  refusePacked(path, tensors);
  refuseWholeNumbers(path, tensors);
  const names = [...tensors.keys()];
  const scaled = names.some((name) => MARKER.test(name));
  const isFp8 = scaled || [...tensors.values()].some(({ dtype }) => dtype.startsWith("float8"));
  if (!isFp8) return new Map(tensors);
  refuseUnknownScales(path, tensors);
  const scales = new Map<string, number>();
  for (const [name, entry] of tensors) {
    const module = SCALE.exec(name)?.[1];
    if (module === undefined) continue;
    if (!tensors.has(`${module}.weight`)) {
      throw new CheckpointError(
        `Cannot use ${path} as '${showValue(name)}' is the scale of a tensor that the file does not hold`,
      );
    }
    scales.set(`${module}.weight`, readScale(name, entry));
  }
  const result = new Map<string, WeightEntry>();
  for (const [name, entry] of tensors) {
    if (SCALE.test(name) || IGNORED.test(name) || MARKER.test(name)) continue;
    const scale = scales.get(name);
    if (scaled && scale === undefined && entry.dtype.startsWith("float8") && entry.shape.length === 2) {
      throw new CheckpointError(
        `Cannot use ${path} as it is marked as scaled fp8, but '${showValue(name)}' has no scale`,
      );
    }
    result.set(name, scale === undefined ? entry : { ...entry, scale });
  }
  return result;
}

/** Refuses ComfyUI's int8, whose rows may be rotated, and its 4-bit numbers. Its fp8 has the same marks. */
function refusePacked(path: string, tensors: ReadonlyMap<string, WeightEntry>): void {
  for (const name of tensors.keys()) {
    const module = COMFY.exec(name)?.[1];
    const dtype = module === undefined ? undefined : tensors.get(`${module}.weight`)?.dtype;
    if (dtype === undefined || dtype.startsWith("float8")) continue;
    throw new CheckpointError(
      `Cannot use ${path} as '${showValue(`${module}.weight`)}' is ComfyUI's quantization in ${dtype}. ` +
        "Try the same model in bf16, fp8 or GGUF",
    );
  }
}

/** Refuses weights in whole numbers: int8 of bitsandbytes and others, packed 4-bit numbers. */
function refuseWholeNumbers(path: string, tensors: ReadonlyMap<string, WeightEntry>): void {
  for (const [name, { dtype, shape }] of tensors) {
    if (!name.endsWith(".weight") || shape.length < 2 || !WHOLE_NUMBERS.includes(dtype)) continue;
    throw new CheckpointError(
      `Cannot use ${path} as '${showValue(name)}' is quantized to ${dtype} in a way that we do not know. ` +
        "Try the same model in bf16, fp8 or GGUF",
    );
  }
}

/** Refuses fp8 whose scales have other names, such as weight_scale_inv: without them it is another weight. */
function refuseUnknownScales(path: string, tensors: ReadonlyMap<string, WeightEntry>): void {
  for (const name of tensors.keys()) {
    const module = COMPANION.exec(name)?.[1];
    if (module === undefined || SCALE.test(name) || IGNORED.test(name)) continue;
    const weight = `${module}.weight`;
    if (!tensors.get(weight)?.dtype.startsWith("float8")) continue;
    throw new CheckpointError(
      `Cannot use ${path} as '${showValue(name)}' says how '${showValue(weight)}' was quantized to fp8, ` +
        "and we do not know this way. Try the same model in bf16, in fp8 with one scale a tensor or in GGUF",
    );
  }
}

function readScale(name: string, entry: WeightEntry): number {
  const { path, shape } = entry;
  if (shape.some((n) => n !== 1)) {
    throw new CheckpointError(
      `Cannot use ${path} as the scale '${showValue(name)}' must be one number, but its shape is [${shape}]`,
    );
  }
  const [scale = NaN] = readValues(entry);
  if (Number.isFinite(scale)) return scale;
  throw new CheckpointError(
    `Cannot use ${path} as the scale '${showValue(name)}' must be finite, but is ${scale}`,
  );
}
