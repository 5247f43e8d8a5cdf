// Scales of fp8 files. A scaled file keeps w / s in fp8 and s beside it, one number for each tensor.
import { showValue } from "../../sampler/mod.ts";
import { CheckpointError } from "./checkpoint_error.ts";
import { readValues } from "./read_values.ts";
import type { WeightEntry } from "./weight_entry.ts";

const SCALE = /^(.*)\.(?:scale_weight|weight_scale)$/s;
/** Scales of activations, which are not rounded to fp8 here, and a description that the tensors repeat. */
const IGNORED = /\.(?:scale_input|input_scale|comfy_quant)$/;
const COMFY = /^(.*)\.comfy_quant$/s;
/** Says that every matrix in fp8 has a scale. */
const MARKER = /(?:^|\.)scaled_fp8$/;

/**
 * Returns the tensors of the file at `path` with their scales, and without the tensors that hold them.
 * @throws {CheckpointError} if a scale is missing, belongs to no tensor, or is not one finite number, or if
 * the file is quantized in another way.
 */
export function foldScales(
  path: string,
  tensors: ReadonlyMap<string, WeightEntry>,
): Map<string, WeightEntry> {
  refusePacked(path, tensors);
  const names = [...tensors.keys()];
  const scaled = names.some((name) => MARKER.test(name));
  const isFp8 = scaled || [...tensors.values()].some(({ dtype }) => dtype.startsWith("float8"));
  if (!isFp8) return new Map(tensors);
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
