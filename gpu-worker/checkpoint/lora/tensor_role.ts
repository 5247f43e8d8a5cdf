// What a tensor of a LoRA file is to its module, by its name. The same is named in many ways (arXiv 2106.09685): peft's
// X.lora_A.weight, kohya's X_Y.lora_down.weight, diffusers' of 2023, XLabs'.

export interface TensorRole {
  /** As the file spells it, the ending apart. */
  module: string;
  /**
   * A is `down`, B is `up`; `bias` goes through the module's scale, `plainBias` does not; `whole` is a change of the
   * weight itself.
   */
  role: "down" | "up" | "alpha" | "bias" | "plainBias" | "whole";
}

const DOWN = new Set(["lora_A", "lora_down", "lora.down", "lora_linear_layer.down"]);
const MATRIX =
  /^(.+)\.(lora_A|lora_down|lora\.down|lora_linear_layer\.down|lora_B|lora_up|lora\.up|lora_linear_layer\.up)\.weight$/s;
/** diffusers' attention processors: X.processor.to_q_lora.down.weight, and X.to_q_lora.down.weight of text encoders. */
const PROCESSOR = /^(.+?)(?:\.processor)?\.to_(q|k|v|out)_lora\.(down|up)\.weight$/s;
const XLABS = /^(.+\.processor\.(?:qkv|proj)_lora[12]?)\.(down|up)\.weight$/s;
const OTHERS: Readonly<Record<string, TensorRole["role"]>> = {
  "alpha": "alpha",
  "lora_B.bias": "bias",
  "diff_b": "plainBias",
  "diff": "whole",
};
const OTHER = /^(.+)\.(alpha|lora_B\.bias|diff_b|diff)$/s;

/** Undefined for a tensor that is no part of a LoRA as we know it (DoRA, LoHa, LoKr, ...). */
export function tensorRole(key: string): TensorRole | undefined {
  const [, name, kind] = MATRIX.exec(key) ?? [];
  if (name !== undefined) return { module: name, role: DOWN.has(kind!) ? "down" : "up" };
  const [, attention, which, side] = PROCESSOR.exec(key) ?? [];
  if (attention !== undefined) {
    return { module: `${attention}.to_${which === "out" ? "out.0" : which}`, role: side as "down" | "up" };
  }
  const [, layer, matrix] = XLABS.exec(key) ?? [];
  if (layer !== undefined) return { module: layer, role: matrix as "down" | "up" };
  const [, module, ending] = OTHER.exec(key) ?? [];
  return module === undefined ? undefined : { module, role: OTHERS[ending!]! };
}
