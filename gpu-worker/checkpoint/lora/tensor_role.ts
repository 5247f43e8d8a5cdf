// Derives a LoRA tensor's role from its name. The same role has many names (arXiv 2106.09685): peft's
// X.lora_A.weight, kohya's X_Y.lora_down.weight, those of diffusers in 2023, and XLabs'.

export interface TensorRole {
  /** The module's name as the file spells it, without the ending. */
  module: string;
  /**
   * A is `down`, B is `up`. `bias` is scaled by the module's scale, `plainBias` is not. `whole` is a change
   * of the weight itself. `magnitude` is DoRA's length of each row.
   */
  role: "down" | "up" | "alpha" | "bias" | "plainBias" | "whole" | "magnitude" | LokrRole;
}

/** LyCORIS' names of LoKr's factors: whole, or a product of a and b. */
export type LokrRole = "lokr_w1" | "lokr_w1_a" | "lokr_w1_b" | "lokr_w2" | "lokr_w2_a" | "lokr_w2_b";

/** Between a matrix's name and `weight` peft's own state has the adapter's name. */
const DOWN = new Set(["lora_A", "lora_down", "lora.down", "lora_linear_layer.down"]);
/** peft adds an adapter's name to matrices that no pipeline has saved. */
const MATRIX = /^(.+)\.(lora_A|lora_B|(?:lora_linear_layer\.|lora[._])(?:down|up))(?:\.default)?\.weight$/s;
/**
 * Names of diffusers' attention processors: X.processor.to_q_lora.down.weight, or
 * X.to_q_lora.down.weight in text encoders.
 */
const PROCESSOR = /^(.+?)(?:\.processor)?\.to_(q|k|v|out)_lora\.(down|up)\.weight$/s;
const XLABS = /^(.+\.processor\.(?:qkv|proj)_lora[12]?)\.(down|up)\.weight$/s;
const LOKR = /^(.+)\.(lokr_w[12](?:_[ab])?)$/s;
const OTHERS: Readonly<Record<string, TensorRole["role"]>> = {
  "alpha": "alpha",
  "lora_B.bias": "bias",
  "diff_b": "plainBias",
  "diff": "whole",
  "lora_magnitude_vector": "magnitude",
};
const OTHER =
  /^(.+)\.(alpha|lora_B\.bias|diff_b|diff|lora_magnitude_vector)(?:(?<=vector)(?:\.default)?\.weight)?$/s;

/** Returns a tensor's module and role, or undefined for unsupported tensors (LoHa, ...). */
export function tensorRole(key: string): TensorRole | undefined {
  const [, name, kind] = MATRIX.exec(key) ?? [];
  if (name !== undefined) return { module: name, role: DOWN.has(kind!) ? "down" : "up" };
  const [, attention, which, side] = PROCESSOR.exec(key) ?? [];
  if (attention !== undefined) {
    return { module: `${attention}.to_${which === "out" ? "out.0" : which}`, role: side as "down" | "up" };
  }
  const [, layer, matrix] = XLABS.exec(key) ?? [];
  if (layer !== undefined) return { module: layer, role: matrix as "down" | "up" };
  const [, wrapped, factor] = LOKR.exec(key) ?? [];
  if (wrapped !== undefined) return { module: wrapped, role: factor as LokrRole };
  const [, module, ending] = OTHER.exec(key) ?? [];
  return module === undefined ? undefined : { module, role: OTHERS[ending!]! };
}
