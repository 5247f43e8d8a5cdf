// Creates the inputs of a UNet's trunk, by the graph's names. Its head needs only the history.
import type { UNet2DConditionConfig } from "./unet_config.ts";
import type { Runtime } from "../../runtime/mod.ts";
import { BranchFeeds, type BranchRows } from "../../denoiser/branch_feeds.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";
import type { LatentSize } from "../../vae/latent_size.ts";

export interface UNetFeedsOptions {
  config: UNet2DConditionConfig;
  /** The prompt and, under classifier-free guidance, the negative prompt. Both have equal lengths. */
  branches: readonly EncodedPrompt[];
  size: LatentSize;
  /** Size of the picture in pixels, an input of SDXL. */
  height: number;
  width: number;
  /** The inputs beside the latents of an inpainting UNet, a row for each branch. @default none */
  masked?: readonly Float32Array[];
}

/** Creates the tensors of a run. The returned feeds own them. */
export function unetFeeds(
  runtime: Runtime,
  { config, branches, size, height, width, masked }: UNetFeedsOptions,
): BranchFeeds {
  const trunk: Record<string, BranchRows> = {
    encoder_hidden_states: {
      dims: [branches[0]!.tokens, config.crossAttentionDim],
      rows: branches.map(({ embeds }) => embeds),
    },
  };
  if (config.textTime) {
    // Original size, top left corner of the crop, target size: the values of an uncropped
    // training picture of this size.
    const timeIds = Float32Array.of(height, width, 0, 0, height, width);
    trunk["text_embeds"] = { dims: [config.textTime.pooledDim], rows: branches.map(({ pooled }) => pooled) };
    trunk["time_ids"] = { dims: [timeIds.length], rows: branches.map(() => timeIds) };
  }
  if (masked) {
    const channels = config.inChannels - config.outChannels;
    trunk["masked"] = { dims: [channels, size.height, size.width], rows: masked };
  }
  return new BranchFeeds(runtime, {
    rows: branches.length,
    latents: { name: "sample", dims: [size.channels, size.height, size.width] },
    trunk,
    conditioning: {},
  });
}
