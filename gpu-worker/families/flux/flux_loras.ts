// How LoRAs of FLUX.1 are read. Source: diffusers' FluxLoraLoaderMixin and lora_conversion_utils.py.
import { showValue } from "../../../sampler/mod.ts";
import { fluxDropRules } from "../../checkpoint/lora/flux_drop_rules.ts";
import type { LoraRules } from "../../checkpoint/lora/lora_rules.ts";
import { tensorRole } from "../../checkpoint/lora/tensor_role.ts";
import { fluxOriginalNames } from "./flux_names.ts";

/** Channels of the latents, in patches. */
const CHANNELS = 64;
/** Channels of the latents and of a control picture. */
const CONTROL_CHANNELS = 2 * CHANNELS;

export const fluxLoras: LoraRules = {
  originalNames: fluxOriginalNames,
  dropRules: fluxDropRules,
  // FLUX.1 Fill reads a mask and an image behind the latents. diffusers fills up LoRAs with zeros for it.
  wideLayer: { weight: "x_embedder.weight", columns: CHANNELS },
  faultOf: controlFault,
};

/** diffusers widens the first layer for a control LoRA, and another pipeline takes the control picture. */
function controlFault(entries: Parameters<Required<LoraRules>["faultOf"]>[0]): string | undefined {
  for (const [key, { shape }] of entries) {
    const { module, role } = tensorRole(key) ?? {};
    const isFirst = role === "down" && /(^|[._])(x_embedder|img_in)$/.test(module!);
    if (!isFirst || shape[1] !== CONTROL_CHANNELS) continue;
    return "it is a control LoRA: " +
      `'${showValue(key)}' reads ${CONTROL_CHANNELS} channels, those of a control picture too. ` +
      "Control pictures are not supported";
  }
  return undefined;
}
