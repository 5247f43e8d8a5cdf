// How LoRAs of Stable Diffusion and SDXL are read. Source: diffusers' StableDiffusionLoraLoaderMixin.
import type { DropRule, LoraRules } from "../../checkpoint/lora/lora_rules.ts";
import { unetOriginalNames } from "./unet_original_names.ts";

const isSgm = (key: string) => /input_blocks|middle_block|output_blocks/.test(key);
const DROP_RULES: readonly DropRule[] = [
  {
    where: (key) => !isSgm(key) && /down_blocks|mid_block|up_blocks/.test(key),
    drops: isSgm,
    reason: "the same layers once more, in other names",
  },
];

export const unetLoras: LoraRules = { originalNames: unetOriginalNames, dropRules: () => DROP_RULES };
