// A model's name with LoRAs behind it: MODEL+FILE.safetensors[:WEIGHT]+... (docs/decisions/0010-loras-belong-to-a-model.md)
import { type Lora, parseLora } from "./model_name.ts";

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
