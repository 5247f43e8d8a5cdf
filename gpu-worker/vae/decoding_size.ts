// What AutoencoderKL's decoder takes, for predictions of memory.
import type { AutoencoderKLConfig } from "../graph/autoencoder_kl/autoencoder_kl_config.ts";
import type { RequestDefaults } from "../request/request_defaults.ts";
import { tileSizes } from "./tiled_decoder.ts";

/** In elements, float32 all. */
export interface DecodingSize {
  /** Of one picture's or video's latents. */
  latents: number;
  /** The largest activation of a run of the decoder. */
  activation: number;
}

/** Predicts what decoding takes at that size. */
export type DecodingOf = (
  request: Omit<RequestDefaults, "sampler">,
  options?: { vaeTiling: boolean },
) => DecodingSize;

/** At full size its last block begins with what the one before upsampled. */
export function decodingSize(vae: AutoencoderKLConfig): DecodingOf {
  const { block_out_channels: channels, latent_channels: latentChannels } = vae;
  const scale = 2 ** (channels.length - 1);
  return ({ width, height }, { vaeTiling } = { vaeTiling: false }) => {
    const { side, untiled } = tileSizes({ config: vae, vaeTiling });
    const tile = side * scale;
    const pixels = Math.max(width, height) > untiled * scale
      ? Math.min(width, tile) * Math.min(height, tile)
      : width * height;
    return {
      latents: width * height / scale ** 2 * latentChannels,
      activation: pixels * (channels[1] ?? channels[0]!),
    };
  };
}
