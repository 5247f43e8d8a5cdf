// Packs a picture's latents into 2x2 patches and back (_pack_latents and _unpack_latents of
// FluxPipeline and its kin).
import type { LatentSize } from "../vae/latent_size.ts";
import type { LatentPacking } from "./family.ts";

/** Side of the squares of latent pixels that become tokens. */
export const PATCH = 2;

export const PATCH_PACKING: LatentPacking = {
  pack: packLatents,
  unpack: unpackLatents,
  dims: (size) => [countTokens(size), size.channels * PATCH ** 2],
};

export function countTokens({ height, width }: LatentSize): number {
  return height * width / PATCH ** 2;
}

/**
 * Packs [channels, height, width], both sides even, into [height/2 * width/2,
 * channels * 4], row-major tokens.
 */
export function packLatents(latents: Float32Array, size: LatentSize): Float32Array<ArrayBuffer> {
  const packed = new Float32Array(latents.length);
  eachPair(size, (plain, token) => packed[token] = latents[plain]!);
  return packed;
}

/** Undoes {@link packLatents}. */
function unpackLatents(packed: Float32Array, size: LatentSize): Float32Array<ArrayBuffer> {
  const latents = new Float32Array(packed.length);
  eachPair(size, (plain, token) => latents[plain] = packed[token]!);
  return latents;
}

function eachPair(
  { channels, height, width }: LatentSize,
  visit: (plain: number, token: number) => void,
): void {
  let plain = 0;
  for (let channel = 0; channel < channels; channel++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const token = (y >> 1) * (width >> 1) + (x >> 1);
        visit(plain++, (token * channels + channel) * 4 + (y & 1) * 2 + (x & 1));
      }
    }
  }
}
