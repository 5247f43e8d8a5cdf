// What a user names: a LoRA file and how much of it is added. FILE[:WEIGHT] on command lines.

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
