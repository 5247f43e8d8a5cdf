// Lays the kept part of an original over a drawn picture, in 8 bits: diffusers'
// VaeImageProcessor.apply_overlay with the integer arithmetic of Pillow, whose rounding shows in soft masks.

/**
 * Returns the original's pixels where the mask is 0, the drawn ones where it is 255, and a blend between.
 * @param drawn interleaved RGB
 * @param original the same of the original
 * @param mask one value for each pixel
 */
export function overlayOriginal(
  drawn: Uint8Array,
  { original, mask }: { original: Uint8Array; mask: Uint8Array },
): Uint8Array {
  return drawn.map((value, i) => {
    const alpha = 255 - mask[Math.floor(i / 3)]!;
    if (alpha === 0) return value;
    const kept = unpremultiplied(premultiplied(original[i]!, alpha), alpha);
    const share = Math.trunc((alpha * 255 * 255 * 2 ** BLEND_BITS) / (alpha * 255 + 255 * (255 - alpha)));
    const sum = kept * share + value * (255 * 2 ** BLEND_BITS - share);
    return dividedBy255(sum + (0x80 << BLEND_BITS)) >> BLEND_BITS;
  });
}

/** Bits behind the point of a share in Pillow's alpha_composite. */
const BLEND_BITS = 7;

function premultiplied(value: number, alpha: number): number {
  return dividedBy255(value * alpha + 128);
}

function unpremultiplied(value: number, alpha: number): number {
  return alpha === 255 ? value : Math.min(255, Math.trunc((255 * value) / alpha));
}

/** Pillow's SHIFTFORDIV255. */
function dividedBy255(value: number): number {
  return ((value >> 8) + value) >> 8;
}
