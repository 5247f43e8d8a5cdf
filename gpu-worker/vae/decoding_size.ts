// What AutoencoderKL's decoder takes, for predictions of memory.
import type { AutoencoderKLConfig } from "../graph/autoencoder_kl/autoencoder_kl_config.ts";
import type { CheckpointReading } from "../pipeline/pipeline.ts";
import { tileSizes } from "./tiled_decoder.ts";

/** At full size its last block begins with what the one before upsampled. */
export function decodingSize(vae: AutoencoderKLConfig): CheckpointReading["decoding"] {
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
