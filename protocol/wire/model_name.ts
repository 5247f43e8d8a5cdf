// Parses a model's name with LoRAs: MODEL+FILE.safetensors[:WEIGHT]+...
// (docs/decisions/0010-loras-belong-to-a-model.md).

export interface Lora {
  /** A .safetensors file with peft's, diffusers' or kohya's names. */
  path: string;
  /** Factor of the file's own scale (alpha / rank). Negative weights subtract. */
  weight: number;
  /** Whether the file is for the second of a checkpoint's two denoisers. @default false */
  second?: boolean;
}

/** Formats a LoRA as FILE[@2][:WEIGHT], without the weight if it is 1. */
export function formatLora({ path, weight, second = false }: Lora): string {
  return `${path}${second ? SECOND : ""}${weight === 1 ? "" : `:${weight}`}`;
}

/** Marks a LoRA of the second denoiser. */
const SECOND = "@2";

/**
 * Parses FILE[@2][:WEIGHT]. The default weight is 1.
 * @throws {RangeError} if there is no file, or no number after the last colon.
 */
export function parseLora(text: string): Lora {
  const [, path = "", second, number] = /^(.*?)(@2)?(?::([^:/\\]*))?$/s.exec(text)!;
  const weight = number === undefined ? 1 : number.trim() === "" ? NaN : Number(number);
  if (path === "" || !Number.isFinite(weight)) {
    throw new RangeError(`Cannot read LoRA as it must be FILE or FILE:WEIGHT: current value is '${text}'`);
  }
  return { path, weight, ...second && { second: true } };
}

export interface ModelName {
  /** A directory, or ORG/NAME. */
  name: string;
  /** LoRAs in the order of the name. */
  loras: Lora[];
}

/**
 * A plus sign starts a LoRA only before the name of a .safetensors file, as folder names may contain one.
 */
const LAST_LORA = /^(.+)\+([^+]+\.safetensors(?:@2)?(?::[^+:/\\]*)?)$/s;

/** Splits a model's name into the model and its LoRAs. @throws {RangeError} if a weight is no number. */
export function parseModelName(model: string): ModelName {
  const loras: Lora[] = [];
  let name = model;
  for (let match; (match = LAST_LORA.exec(name)) !== null;) {
    name = match[1]!;
    loras.unshift(parseLora(match[2]!));
  }
  return { name, loras };
}
