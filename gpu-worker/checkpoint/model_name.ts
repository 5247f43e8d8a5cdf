// A model's name, with LoRAs behind it: MODEL+FILE.safetensors[:WEIGHT]+... (docs/decisions/0010-loras-belong-to-a-model.md)

export interface Lora {
  /** A .safetensors file in peft's, diffusers' or kohya's naming. */
  path: string;
  /** Times the file's own scale (alpha / rank). Negative weights take away. */
  weight: number;
}

/** The same as text, weight 1 left out. */
export function formatLora({ path, weight }: Lora): string {
  return weight === 1 ? path : `${path}:${weight}`;
}

/**
 * Reads FILE[:WEIGHT]; the weight is 1 unless given.
 * @throws {RangeError} if there is no file, or no number behind the last colon.
 */
export function parseLora(text: string): Lora {
  const [, path = "", number] = /^(.*?)(?::([^:/\\]*))?$/s.exec(text)!;
  const weight = number === undefined ? 1 : number.trim() === "" ? NaN : Number(number);
  if (path === "" || !Number.isFinite(weight)) {
    throw new RangeError(`Cannot read LoRA as it must be FILE or FILE:WEIGHT: current value is '${text}'`);
  }
  return { path, weight };
}

export interface ModelName {
  /** A directory, or ORG/NAME. */
  name: string;
  /** In the order in which they stand. */
  loras: Lora[];
}

/** A plus sign begins a LoRA only where the part behind it names a .safetensors file; folders may have one in their name. */
const LAST_LORA = /^(.+)\+([^+]+\.safetensors(?::[^+:/\\]*)?)$/s;

/** @throws {RangeError} if a weight is no number. */
export function parseModelName(model: string): ModelName {
  const loras: Lora[] = [];
  let name = model;
  for (let match; (match = LAST_LORA.exec(name)) !== null;) {
    name = match[1]!;
    loras.unshift(parseLora(match[2]!));
  }
  return { name, loras };
}
