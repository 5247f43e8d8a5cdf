// Turns latents into tokens of one latent pixel each and back
// (QwenImage21Pipeline._pack_latents and _unpack_latents).
import type { LatentPacking } from "../../pipeline/family.ts";

export const QWEN_IMAGE_21_PACKING: LatentPacking = {
  pack: (latents, { channels, height, width }) => transpose(latents, channels, height * width),
  unpack: (packed, { channels, height, width }) => transpose(packed, height * width, channels),
  dims: ({ channels, height, width }) => [height * width, channels],
};

/** Transposes [rows, columns]. */
function transpose(values: Float32Array, rows: number, columns: number): Float32Array<ArrayBuffer> {
  const turned = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      turned[column * rows + row] = values[row * columns + column]!;
    }
  }
  return turned;
}
