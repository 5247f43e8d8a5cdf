// How ComfyUI says which layers of a file are quantized: in a tensor of JSON beside each (`comfy_quant`), or
// in the header for all of them (`_quantization_metadata`).
import { showValue } from "../../sampler/mod.ts";
import { CheckpointError } from "./checkpoint_error.ts";
import { readAt } from "./read_at.ts";
import { readSafetensorsMetadata } from "./safetensors.ts";
import type { WeightEntry } from "./weight_entry.ts";

/** A layer's description: `format`, and options of the format. */
export type ComfyFormat = Readonly<Record<string, unknown>> & { readonly format: string };

const MARK = /^(.*)\.comfy_quant$/s;
const HEADER = "_quantization_metadata";
/** Beginnings of a denoiser's names that some programs leave out in the header. */
const PREFIXES = ["", "model.diffusion_model.", "diffusion_model."];
/** Longest description of a layer, in bytes. Known ones have up to 100. */
const MAX_BYTES = 10_000;

/**
 * Returns the descriptions in the header of the safetensors file at `path`, by layer, as they are written.
 * @throws {CheckpointError} if they are not a table.
 */
export function comfyFormatsOf(path: string): Map<string, unknown> {
  const text = readSafetensorsMetadata(path)[HEADER];
  if (text === undefined) return new Map();
  try {
    const { layers } = JSON.parse(text);
    if (isObject(layers)) return new Map(Object.entries(layers));
  } catch {
    // Refused below.
  }
  throw new CheckpointError(`Cannot read ${path} as '${HEADER}' in its header has no table of layers`);
}

/**
 * Returns the format of every quantized layer among `tensors`, by the layer's name.
 * @param listed the descriptions in the file's header
 * @throws {CheckpointError} if a description is malformed.
 */
export function comfyFormats(
  path: string,
  { tensors, listed }: { tensors: ReadonlyMap<string, WeightEntry>; listed: ReadonlyMap<string, unknown> },
): Map<string, ComfyFormat> {
  const formats = new Map<string, ComfyFormat>();
  const add = (module: string, described: unknown) => {
    const format = typeof described === "string" ? { format: described } : described;
    if (!isObject(format) || typeof format["format"] !== "string") {
      throw new CheckpointError(
        `Cannot use ${path} as the description of '${showValue(module)}' must name a format, but is ${
          showValue(JSON.stringify(described))
        }`,
      );
    }
    formats.set(module, format as ComfyFormat);
  };
  for (const [layer, described] of listed) {
    const prefix = PREFIXES.find((prefix) => tensors.has(`${prefix}${layer}.weight`));
    if (prefix !== undefined) add(prefix + layer, described);
  }
  for (const [name, entry] of tensors) {
    const module = MARK.exec(name)?.[1];
    if (module !== undefined) add(module, readJson(name, entry));
  }
  return formats;
}

function readJson(name: string, { path, offset, byteLength }: WeightEntry): unknown {
  const refuse = (reason: string) =>
    new CheckpointError(`Cannot use ${path} as '${showValue(name)}' ${reason}`);
  if (byteLength > MAX_BYTES) throw refuse(`must have at most ${MAX_BYTES} bytes, but has ${byteLength}`);
  const bytes = new Uint8Array(byteLength);
  using file = Deno.openSync(path);
  readAt(file, { path, offset, bytes });
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new CheckpointError(refuse("is not JSON").message, { cause });
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
