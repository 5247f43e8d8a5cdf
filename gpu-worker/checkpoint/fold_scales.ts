// Weights that a safetensors file keeps in fewer bits, with the scales beside them. Scaled fp8 has w / s and
// one s for each tensor or each row; ComfyUI's other formats are comfy_weight.ts's.
// Weights that are quantized in other ways are refused, as their numbers alone would draw another picture.
import { showValue } from "../../sampler/mod.ts";
import type { DType } from "../runtime/dtype.ts";
import { CheckpointError } from "./checkpoint_error.ts";
import { comfyFormats } from "./comfy_formats.ts";
import { comfyWeight } from "./comfy_weight.ts";
import { readScales, type TensorScales } from "./read_scales.ts";
import type { WeightEntry } from "./weight_entry.ts";

const SCALE = /^(.*)\.(?:scale_weight|weight_scale)$/s;
/** Scales of activations, which are not rounded to fp8 here, and a description that is read before. */
const IGNORED = /\.(?:scale_input|input_scale|comfy_quant)$/;
/** Says that every matrix in fp8 of a network has a scale. The group is the network's prefix. */
const MARKER = /^(.*\.|)scaled_fp8$/s;

/** A tensor beside a weight that says how it was quantized, whatever the program calls it. */
const COMPANION = /^(.*?)\.(?:weight[._].+|[^.]*(?:scale|zero_?point|absmax|quant|SCB)[^.]*)$/s;
/** Types of numbers that no network is trained in. */
const WHOLE_NUMBERS: readonly DType[] = ["int8", "uint8", "int32", "int64", "bool"];

/**
 * Returns the tensors of a network, or of the file at `path`, with their scales, and without the tensors
 * that hold them.
 * @param options.formats what the file's header says of its layers. @default nothing
 * @throws {CheckpointError} if a scale is missing, belongs to no tensor, has another shape than is known or
 * is not finite, or if the file is quantized in another way.
 */
export function foldScales(
  path: string,
  tensors: ReadonlyMap<string, WeightEntry>,
  { formats: listed = new Map() }: { formats?: ReadonlyMap<string, unknown> } = {},
): Map<string, WeightEntry> {
  const formats = comfyFormats(path, { tensors, listed });
  const changed = new Map<string, WeightEntry>();
  const used = new Set<string>();
  for (const [module, format] of formats) {
    const weight = comfyWeight(path, { tensors, module, format });
    if (weight === undefined) continue;
    changed.set(`${module}.weight`, weight.entry);
    for (const name of weight.used) used.add(name);
  }
  refuseWholeNumbers(path, { tensors, changed });
  const names = [...tensors.keys()];
  const marked = names.flatMap((name) => MARKER.exec(name)?.[1] ?? []);
  const isFp8 = marked.length > 0 || [...tensors.values()].some(({ dtype }) => dtype.startsWith("float8"));
  if (!isFp8 && formats.size === 0) return new Map(tensors);
  refuseUnknownScales(path, { tensors, formats, used });
  const scales = new Map<string, TensorScales>();
  for (const [name, tensor] of tensors) {
    const module = SCALE.exec(name)?.[1];
    if (module === undefined || used.has(name)) continue;
    const weight = tensors.get(`${module}.weight`);
    if (weight === undefined) {
      throw new CheckpointError(
        `Cannot use ${path} as '${showValue(name)}' is the scale of a tensor that the file does not hold`,
      );
    }
    scales.set(`${module}.weight`, readScales(name, { tensor, weight }));
  }
  const result = new Map<string, WeightEntry>();
  for (const [name, entry] of tensors) {
    if (used.has(name) || SCALE.test(name) || IGNORED.test(name) || MARKER.test(name)) continue;
    const scaled = scales.get(name);
    const isMarked = formats.has(name.replace(/\.weight$/, "")) ||
      entry.shape.length === 2 && marked.some((prefix) => name.startsWith(prefix));
    if (isMarked && scaled === undefined && !changed.has(name) && entry.dtype.startsWith("float8")) {
      throw new CheckpointError(
        `Cannot use ${path} as it is marked as scaled fp8, but '${showValue(name)}' has no scale`,
      );
    }
    result.set(name, { ...changed.get(name) ?? entry, ...scaled });
  }
  return result;
}

/** Refuses weights in whole numbers: int8 of bitsandbytes and others, packed 4-bit numbers. */
function refuseWholeNumbers(
  path: string,
  { tensors, changed }: {
    tensors: ReadonlyMap<string, WeightEntry>;
    changed: ReadonlyMap<string, WeightEntry>;
  },
): void {
  for (const [name, { dtype, shape }] of tensors) {
    if (!name.endsWith(".weight") || shape.length < 2 || !WHOLE_NUMBERS.includes(dtype)) continue;
    if (changed.has(name)) continue;
    throw new CheckpointError(
      `Cannot use ${path} as '${showValue(name)}' is quantized to ${dtype} in a way that we do not know. ` +
        "Try the same model in bf16, fp8 or GGUF",
    );
  }
}

/** Refuses scales with other names, such as weight_scale_inv: without them it is another weight. */
function refuseUnknownScales(
  path: string,
  { tensors, formats, used }: {
    tensors: ReadonlyMap<string, WeightEntry>;
    formats: ReadonlyMap<string, unknown>;
    used: ReadonlySet<string>;
  },
): void {
  for (const name of tensors.keys()) {
    const module = COMPANION.exec(name)?.[1];
    if (module === undefined || SCALE.test(name) || IGNORED.test(name) || used.has(name)) continue;
    const weight = `${module}.weight`;
    const isFp8 = tensors.get(weight)?.dtype.startsWith("float8") === true;
    if (!formats.has(module) && !isFp8) continue;
    throw new CheckpointError(
      `Cannot use ${path} as '${showValue(name)}' says how '${showValue(weight)}' was quantized` +
        `${isFp8 ? " to fp8" : ""}, and we do not know this way. ` +
        "Try the same model in bf16, in fp8 with one scale a tensor or a row, or in GGUF",
    );
  }
}
