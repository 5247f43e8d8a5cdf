// How LoRAs of Wan are read. Source: diffusers' WanLoraLoaderMixin.
import type { DropRule, LoraRules } from "../../checkpoint/lora/lora_rules.ts";
import { wanOriginalNames } from "./wan_names.ts";

const DROP_RULES: readonly DropRule[] = [
  { drops: (key) => /norm.*\.diff(?:_b)?$/s.test(key), reason: "changes of norms" },
  {
    drops: (key) => key.endsWith(".diff") && key !== "diffusion_model.head.head.diff",
    reason: "changes of whole tensors",
  },
  { drops: (key) => key === "diffusion_model.patch_embedding.diff_b", reason: "changes of whole tensors" },
];
const isTimeProjection = (key: string) => key.startsWith("diffusion_model.time_projection");

export const wanLoras: LoraRules = {
  originalNames: wanOriginalNames,
  dropRules,
  // Wan's trainers alone write changes that are not products of matrices.
  readsWhole: true,
};

function dropRules(keys: readonly string[]): readonly DropRule[] {
  if (!keys.some((key) => key.startsWith("diffusion_model."))) return [];
  const hasWeight = keys.some((key) => isTimeProjection(key) && key.endsWith(".weight"));
  return hasWeight
    ? DROP_RULES
    : [...DROP_RULES, { drops: isTimeProjection, reason: "a bias without its weight" }];
}
