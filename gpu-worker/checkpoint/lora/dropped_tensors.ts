// Selects the tensors of LoRA files that diffusers silently ignores: duplicates of other layers, or changes
// of norms. We ignore the same tensors and report them.
import type { DropRule, LoraRules } from "./lora_rules.ts";

const OF_ALL_FAMILIES: readonly DropRule[] = [
  { drops: (key) => key.includes("dora_scale"), reason: "scales of DoRA" },
];

/**
 * Returns the ignored tensors of a LoRA file, name -> reason.
 * @param keys names of the file's tensors
 */
export function droppedTensors(
  keys: readonly string[],
  { dropRules }: Pick<LoraRules, "dropRules">,
): Map<string, string> {
  const dropped = new Map<string, string>();
  for (const { where, drops, reason } of [...OF_ALL_FAMILIES, ...dropRules?.(keys) ?? []]) {
    if (where !== undefined && !keys.some(where)) continue;
    for (const key of keys) if (drops(key) && !dropped.has(key)) dropped.set(key, reason);
  }
  return dropped;
}
