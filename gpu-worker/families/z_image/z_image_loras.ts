// How LoRAs of Z-Image are read. Source: diffusers' ZImageLoraLoaderMixin.
import type { DropRule, LoraRules } from "../../checkpoint/lora/lora_rules.ts";
import { zImageOriginalNames } from "./z_image_names.ts";

const isSplit = (key: string) => /\.to[._]q\.lora\.down\.weight$/.test(key);
const isFused = (key: string) => /\.(?:qkv|attention\.out)\.lora\.(?:down|up)\.weight$/.test(key);
const DROP_RULES: readonly DropRule[] = [
  { where: isSplit, drops: isFused, reason: "the same layers once more, in other names" },
];

export const zImageLoras: LoraRules = {
  originalNames: zImageOriginalNames,
  dropRules: () => DROP_RULES,
  readsLokr: true,
};
