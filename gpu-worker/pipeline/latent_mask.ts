// The mask among the latents: 1 where they are drawn, 0 where the original's are kept. Source: diffusers'
// mask_processor and prepare_mask_latents, which binarise the pixels and take every f-th of them.
import type { VideoSize } from "../vae/video_size.ts";

/** Returns whether a pixel of a mask is drawn anew: from the middle of 0..255 on. */
export function isMasked(value: number): boolean {
  return value >= 128;
}

/**
 * Returns the mask for every channel, [channels, height, width].
 * @param mask [height, width] in pixels
 */
export function latentMask(
  mask: Uint8Array,
  { channels, height, width }: Omit<VideoSize, "frames">,
): Float32Array<ArrayBuffer> {
  const scale = Math.sqrt(mask.length / (height * width));
  const area = height * width;
  const latents = new Float32Array(channels * area);
  for (let i = 0; i < area; i++) {
    const y = Math.floor(i / width) * scale;
    const x = (i % width) * scale;
    latents[i] = isMasked(mask[y * width * scale + x]!) ? 1 : 0;
  }
  for (let channel = 1; channel < channels; channel++) latents.copyWithin(channel * area, 0, area);
  return latents;
}
