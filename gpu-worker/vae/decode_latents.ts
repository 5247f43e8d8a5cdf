// Runs the VAE decoder.
import type { DecodedImage } from "../media/decoded_image.ts";
import type { Runtime } from "../runtime/mod.ts";
import type { GraphSession } from "../session/session_loader.ts";

export interface LatentsToDecode {
  /** [channels, height, width] */
  dims: readonly number[];
  /** Latents in the denoiser's scale. */
  data: Float32Array<ArrayBuffer>;
  signal?: AbortSignal;
}

/** Returns the picture, [3, f * height, f * width] in -1..1, not clamped, in its own memory. */
export async function decodeLatents(
  { runtime, vae }: { runtime: Runtime; vae: GraphSession },
  { dims, data, signal }: LatentsToDecode,
): Promise<DecodedImage> {
  using latent = runtime.tensor("float32", [1, ...dims], data);
  const { sample } = await vae.run({ latent }, signal && { signal });
  using pixels = sample!;
  const [, , height, width] = pixels.dims as [number, number, number, number];
  return { width, height, data: await pixels.as("float32").toArray() };
}
