// The inputs of FLUX.1 Fill beside its latents (FluxFillPipeline.prepare_mask_latents).
import type { MaskedParts } from "../../pipeline/family.ts";
import { isMasked } from "../../pipeline/latent_mask.ts";
import { countTokens, packLatents } from "../../pipeline/patch_packing.ts";

/** Returns for each token the masked image's latents, then the mask's pixels: [tokens, channels]. */
export function fillInput({ mask, image, size }: MaskedParts): Float32Array<ArrayBuffer> {
  const tokens = countTokens(size);
  const latents = packLatents(image, size);
  const pixels = packLatents(maskChannels(mask, size), {
    ...size,
    channels: mask.length / (size.height * size.width),
  });
  const [own, others] = [latents.length / tokens, pixels.length / tokens];
  const joined = new Float32Array(latents.length + pixels.length);
  for (let token = 0; token < tokens; token++) {
    const at = token * (own + others);
    joined.set(latents.subarray(token * own, (token + 1) * own), at);
    joined.set(pixels.subarray(token * others, (token + 1) * others), at + own);
  }
  return joined;
}

/**
 * Returns the pixels behind each latent as its channels, row by row: [scale * scale, height, width] of 0
 * and 1.
 */
function maskChannels(
  mask: Uint8Array,
  { height, width }: MaskedParts["size"],
): Float32Array {
  const scale = Math.sqrt(mask.length / (height * width));
  const channels = new Float32Array(mask.length);
  const [rows, columns] = [height * scale, width * scale];
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const channel = (y % scale) * scale + x % scale;
      const at = (channel * height + Math.floor(y / scale)) * width + Math.floor(x / scale);
      channels[at] = isMasked(mask[y * columns + x]!) ? 1 : 0;
    }
  }
  return channels;
}
