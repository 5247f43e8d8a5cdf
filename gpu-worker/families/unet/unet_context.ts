// The values that all blocks of a UNet share.
import type { Value } from "../../graph/graph_builder.ts";
import type { UNet2DConditionConfig } from "./unet_config.ts";
import type { Convolve } from "./unet_convolutions.ts";

export interface UNetContext {
  config: UNet2DConditionConfig;
  /** Time embedding, activated, [batch, timeEmbedDim]. */
  time: Value;
  /** Text states, [batch, text_tokens, crossAttentionDim]. */
  text: Value;
  /** Emits the 3x3 convolutions of resnets and upsamplers. */
  convolve: Convolve;
}

/** A feature map [batch, channels, h, w]. */
export interface FeatureMap {
  value: Value;
  channels: number;
}
