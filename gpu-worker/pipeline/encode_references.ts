// References as the denoiser takes them: the VAE's latents, packed as tokens.
import type { DecodedImage } from "../media/decoded_image.ts";
import { assertFinite } from "../runtime/mod.ts";
import type { ReferenceImage } from "../request/references.ts";
import type { ImageEncoder } from "../vae/image_encoder.ts";
import type { LatentScale } from "../vae/latent_scale.ts";
import { latentsOf } from "../vae/video_size.ts";
import type { LatentPacking, ReferenceTokens } from "./family.ts";
import { VAE } from "./latent_decoder.ts";

export interface EncodeReferencesOptions {
  /** Decodes a reference in the size that the denoiser sees. */
  decode(reference: ReferenceImage): Promise<DecodedImage>;
  packing: LatentPacking;
  latentScale: LatentScale;
  encoder: ImageEncoder;
  signal: AbortSignal | undefined;
}

/** Encodes references one after another, so that the pixels of one are in memory at a time. */
export async function encodeReferences(
  references: readonly ReferenceImage[],
  { decode, packing, latentScale, encoder, signal }: EncodeReferencesOptions,
): Promise<ReferenceTokens[]> {
  const encoded: ReferenceTokens[] = [];
  for (const reference of references) {
    signal?.throwIfAborted();
    const picture = await decode(reference);
    // diffusers takes the posterior's mode, which draws no random number.
    const latents = await encoder.encode(picture, { noise: (count) => new Float32Array(count), signal });
    assertFinite(latents, VAE);
    const size = latentsOf(latentScale, picture);
    encoded.push({ size, tokens: packing.pack(latents, size) });
  }
  return encoded;
}
