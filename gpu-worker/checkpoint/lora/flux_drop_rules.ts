// The tensors that diffusers' loader of FLUX's LoRAs ignores. diffusers reads Chroma's with it too.
import type { DropRule } from "./lora_rules.ts";

const isKohya = (key: string) => key.includes(".lora_down.weight") || key.includes(".lora_up.weight");
const isPeft = (key: string) => key.startsWith("transformer.");
const isMixed = (key: string) => key.startsWith("lora_transformer_");

const KOHYA: readonly DropRule[] = [
  { where: isPeft, drops: (key) => !isPeft(key), reason: "the same layers once more, in other names" },
  { drops: (key) => isPeft(key) && key.endsWith(".alpha"), reason: "alphas beside diffusers' names" },
  {
    where: isMixed,
    drops: (key) => key.startsWith("lora_unet_"),
    reason: "the same layers once more, in other names",
  },
  { drops: (key) => key.includes("position_embedding"), reason: "changes of position embeddings" },
  { drops: (key) => key.startsWith("text_encoders.t5xxl.transformer."), reason: "changes of T5" },
  { drops: (key) => key.includes(".diff_b"), reason: "changes of biases" },
  {
    // diffusers then drops every key that has either.
    where: (key) => key.includes(".norm") && key.includes(".diff"),
    drops: (key) => key.includes(".norm") || key.includes(".diff"),
    reason: "changes of norms",
  },
  { drops: (key) => key.includes("text_projection"), reason: "changes of the text projection" },
];

/** diffusers picks a file's tensors by this word, but reads norms for its control LoRAs. */
const isOther = (key: string) => isPeft(key) && !/lora|alpha|\.norm_(?:added_)?[qk]\./.test(key);
const PEFT: readonly DropRule[] = [
  {
    where: (key) => isPeft(key) && key.includes("lora"),
    drops: isOther,
    reason: "tensors that are no part of a LoRA",
  },
];

/** Returns the rules for a file of FLUX or Chroma with tensors of these names. */
export function fluxDropRules(keys: readonly string[]): readonly DropRule[] {
  return keys.some(isKohya) ? KOHYA : PEFT;
}
