// Creates the inputs of Qwen-Image-2.1's trunk and head, by the graphs' names.
import { BranchFeeds } from "../../denoiser/branch_feeds.ts";
import { PICTURE_TOKENS, tokenCount } from "../../denoiser/picture_tokens.ts";
import {
  countedBranches,
  promptRows,
  type ReferenceFeedsOptions,
  referenceRows,
} from "../../pipeline/transformer_feeds.ts";
import type { Runtime } from "../../runtime/mod.ts";
import type { QwenImage21Config } from "./qwen_image21_config.ts";
import { qwenImage21Layout } from "./qwen_image21_layout.ts";

const TRAIN_TIMESTEPS = 1000;

/** Creates the tensors of a run. The returned feeds own them. */
export function qwenImage21Feeds(
  runtime: Runtime,
  { config, branches, size: { height, width }, references = [] }: ReferenceFeedsOptions<QwenImage21Config>,
): BranchFeeds {
  const { tokens: textTokens, referencePlaces = [] } = branches[0]!;
  const imageTokens = height * width;
  const pairs = config.attentionHeadDim / 2;
  const { condition, image, places, ends } = qwenImage21Layout({
    textTokens,
    references: references[0]?.map(({ size }) => size) ?? [],
    referencePlaces,
    height,
    width,
    axesDims: config.axesDimsRope,
  });
  const count = places.length;
  return new BranchFeeds(runtime, {
    rows: branches.length,
    latents: {
      name: "hidden_states",
      dims: [imageTokens, config.inChannels],
      behind: referenceRows(references),
    },
    timestep: (timestep) => timestep / TRAIN_TIMESTEPS,
    trunk: {
      encoder_hidden_states: promptRows(branches, config.contextInDim),
    },
    shared: {
      rotary_condition_cos: { dims: [count, pairs], data: condition.cos },
      rotary_condition_sin: { dims: [count, pairs], data: condition.sin },
      rotary_image_cos: { dims: [imageTokens, pairs], data: image.cos },
      rotary_image_sin: { dims: [imageTokens, pairs], data: image.sin },
      condition_places: { dims: [count], data: places },
      condition_ends: { dims: [ends.length], data: ends },
      [PICTURE_TOKENS]: tokenCount(imageTokens),
    },
    conditioning: {},
    modulation: countedBranches(branches),
  });
}
