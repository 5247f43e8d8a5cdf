// Predicts the memory of AutoencoderKL's decoder.
import type { AutoencoderKLConfig } from "../graph/autoencoder_kl/autoencoder_kl_config.ts";
import type { RequestDefaults } from "../request/request_defaults.ts";
import { tileSizes } from "./tiled_decoder.ts";

/** Sizes in float32 elements. */
export interface DecodingSize {
  /** Size of one picture's or video's latents. */
  latents: number;
  /** Size of the decoder's largest activation. */
  activation: number;
}

/** Predicts the sizes for decoding a request's picture or video. */
export type DecodingOf = (
  request: Omit<RequestDefaults, "sampler">,
  options?: { vaeTiling: boolean },
) => DecodingSize;

/**
 * Returns the prediction for an AutoencoderKL, one of whose latents stands for `scale` pixels a
 * side. The largest activation is the input of the last block: the upsampled output of the block
 * before it, at full size.
 */
export function decodingSize(
  vae: AutoencoderKLConfig,
  scale: number = 2 ** (vae.block_out_channels.length - 1),
): DecodingOf {
  const { block_out_channels: channels, latent_channels: latentChannels } = vae;
  const ownScale = 2 ** (channels.length - 1);
  return ({ width, height }, { vaeTiling } = { vaeTiling: false }) => {
    const { side, untiled } = tileSizes({ config: vae, scale, vaeTiling });
    const tile = side * scale;
    const pixels = Math.max(width, height) > untiled * scale
      ? Math.min(width, tile) * Math.min(height, tile)
      : width * height;
    return {
      latents: width * height / ownScale ** 2 * latentChannels,
      activation: pixels * (channels[1] ?? channels[0]!),
    };
  };
}
