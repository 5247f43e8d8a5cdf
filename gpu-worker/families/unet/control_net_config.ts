// Schema of ControlNetModel's config.json (diffusers 0.42.1). Every option is supported as the published
// ControlNets of Stable Diffusion 1.x, 2.x and SDXL set it, or rejected.
import { z } from "zod";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import { parseUNet2DConditionConfig, type UNet2DConditionConfig } from "./unet_config.ts";

const count = z.int().positive();
/** Options that only other models use. Any value is rejected. */
const unused = z.null().optional();

/** The options that a UNet lacks. The others are a UNet's, and are checked as such. */
const OWN = {
  conditioning_channels: z.literal(3).default(3),
  controlnet_conditioning_channel_order: z.enum(["rgb", "bgr"]).default("rgb"),
  conditioning_embedding_out_channels: z.array(count).nonempty().default([16, 32, 96, 256]),
  // Pools the residuals, and runs without the negative prompt's branch.
  global_pool_conditions: z.literal(false).default(false),
  num_attention_heads: unused,
  encoder_hid_dim: unused,
  encoder_hid_dim_type: unused,
  class_embed_type: unused,
  num_class_embeds: unused,
};

/** Defaults that differ from a UNet's, and options of the way up, which a ControlNet lacks. */
const CONTROL_NET_CONFIG = z.looseObject({
  ...OWN,
  block_out_channels: z.array(count).nonempty().default([320, 640, 1280, 1280]),
  layers_per_block: count.default(2),
  mid_block_type: z.enum(["UNetMidBlock2DCrossAttn", "UNetMidBlock2D"]).default("UNetMidBlock2DCrossAttn"),
  // These are a UNet's alone.
  up_block_types: z.never().optional(),
  out_channels: z.never().optional(),
  center_input_sample: z.never().optional(),
  time_embedding_dim: z.never().optional(),
  conv_in_kernel: z.never().optional(),
});

export interface ControlNetConfig {
  /** The ControlNet as the UNet that it repeats. Its way up is not used. */
  unet: UNet2DConditionConfig;
  /** Whether it was trained on images whose channels are blue, green and red. */
  bgr: boolean;
  /** Channels of the layers that turn the control image into a map of the latents' size. */
  hintChannels: readonly number[];
}

/**
 * Checks a parsed config of a ControlNet.
 * @param path shown in errors
 * @throws {CheckpointError} naming the option that is unknown, wrong or contradicts another.
 */
export function parseControlNetConfig(json: unknown, path: string): ControlNetConfig {
  const source = { className: "ControlNetModel", path };
  const raw = parseConfig(CONTROL_NET_CONFIG, json, source);
  const asUnet = Object.fromEntries(Object.entries(raw).filter(([key]) => !Object.hasOwn(OWN, key)));
  const upBlocks = raw.block_out_channels.map(() => "UpBlock2D");
  return {
    unet: parseUNet2DConditionConfig({ ...asUnet, up_block_types: upBlocks }, source),
    bgr: raw.controlnet_conditioning_channel_order === "bgr",
    hintChannels: raw.conditioning_embedding_out_channels,
  };
}
