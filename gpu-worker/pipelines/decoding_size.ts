// What AutoencoderKL's decoder takes, for predictions of memory.
import type { AutoencoderKLConfig } from "../graph/autoencoder_kl_config.ts";
import type { CheckpointReading } from "./pipeline.ts";

/** At full size its last block begins with what the one before upsampled. */
export function decodingSize(vae: AutoencoderKLConfig): CheckpointReading["decoding"] {
  const { block_out_channels: channels, latent_channels: latentChannels } = vae;
  const scale = 2 ** (channels.length - 1);
  return ({ width, height }) => ({
    latents: width * height / scale ** 2 * latentChannels,
    activation: width * height * (channels[1] ?? channels[0]!),
  });
}
