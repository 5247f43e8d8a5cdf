// The inputs of an inpainting UNet beside its latents (StableDiffusionInpaintPipeline.prepare_mask_latents).
import type { MaskedParts } from "../../pipeline/family.ts";
import { latentMask } from "../../pipeline/latent_mask.ts";

/** Returns the mask, then the masked image's latents: [1 + channels, height, width]. */
export function unetMaskInput({ mask, image, size }: MaskedParts): Float32Array<ArrayBuffer> {
  const area = size.height * size.width;
  const joined = new Float32Array(area + image.length);
  joined.set(latentMask(mask, { ...size, channels: 1 }));
  joined.set(image, area);
  return joined;
}
