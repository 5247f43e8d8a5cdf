// Lays out FLUX.2's latents as tokens and back (Flux2KleinPipeline._pack_latents and
// _unpack_latents_with_ids). Each latent is a patch of 2x2 of the autoencoder's already.
import type { LatentPacking } from "../../pipeline/family.ts";
import type { LatentSize } from "../../vae/latent_size.ts";

export const FLUX2_PACKING: LatentPacking = {
  pack: (latents, { channels, height, width }) =>
    transpose(latents, { rows: channels, columns: height * width }),
  unpack: (packed, { channels, height, width }) =>
    transpose(packed, { rows: height * width, columns: channels }),
  dims: (size) => [countTokens(size), size.channels],
};

export function countTokens({ height, width }: LatentSize): number {
  return height * width;
}

function transpose(
  values: Float32Array,
  { rows, columns }: { rows: number; columns: number },
): Float32Array<ArrayBuffer> {
  const transposed = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      transposed[column * rows + row] = values[row * columns + column]!;
    }
  }
  return transposed;
}
