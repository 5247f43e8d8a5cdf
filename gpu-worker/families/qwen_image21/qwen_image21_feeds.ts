// Creates the inputs of Qwen-Image-2.1's trunk and head, by the graphs' names.
import { BranchFeeds } from "../../denoiser/branch_feeds.ts";
import type { Runtime } from "../../runtime/mod.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";
import type { LatentSize } from "../../vae/latent_size.ts";
import type { QwenImage21Config } from "./qwen_image21_config.ts";
import { qwenImage21RotaryTables } from "./qwen_image21_rotary.ts";

export interface QwenImage21FeedsOptions {
  config: QwenImage21Config;
  /** Prompts of equal length, so usually a single one. */
  branches: readonly EncodedPrompt[];
  size: LatentSize;
}

const TRAIN_TIMESTEPS = 1000;

export function qwenImage21Feeds(
  runtime: Runtime,
  { config, branches, size: { height, width } }: QwenImage21FeedsOptions,
): BranchFeeds {
  const textTokens = branches[0]!.tokens;
  const imageTokens = height * width;
  const pairs = config.attentionHeadDim / 2;
  const { text, image } = qwenImage21RotaryTables({
    textTokens,
    height,
    width,
    axesDims: config.axesDimsRope,
  });
  return new BranchFeeds(runtime, {
    rows: branches.length,
    latents: { name: "hidden_states", dims: [imageTokens, config.inChannels] },
    timestep: (timestep) => timestep / TRAIN_TIMESTEPS,
    trunk: {
      encoder_hidden_states: {
        dims: [textTokens, config.contextInDim],
        rows: branches.map(({ embeds }) => embeds),
      },
    },
    shared: {
      rotary_text_cos: { dims: [textTokens, pairs], data: text.cos },
      rotary_text_sin: { dims: [textTokens, pairs], data: text.sin },
      rotary_image_cos: { dims: [imageTokens, pairs], data: image.cos },
      rotary_image_sin: { dims: [imageTokens, pairs], data: image.sin },
    },
    conditioning: {},
    // Only the number of rows matters: the modulation depends on nothing else of a branch.
    modulation: { branches: { dims: [], rows: branches.map(() => new Float32Array(1)) } },
  });
}
