// Creates the inputs of Qwen-Image's trunk and head, by the graphs' names.
import { BranchFeeds } from "../../denoiser/branch_feeds.ts";
import { PICTURE_TOKENS, tokenCount } from "../../denoiser/picture_tokens.ts";
import {
  countedBranches,
  promptRows,
  type ReferenceFeedsOptions,
  referenceRows,
  rotaryFeeds,
} from "../../pipeline/transformer_feeds.ts";
import type { Runtime } from "../../runtime/mod.ts";
import type { QwenImageConfig } from "./qwen_image_config.ts";
import { qwenImageRotaryTables } from "./qwen_image_rotary.ts";

const TRAIN_TIMESTEPS = 1000;

/** Creates the tensors of a run. The returned feeds own them. */
export function qwenImageFeeds(
  runtime: Runtime,
  { config, branches, size, references = [] }: ReferenceFeedsOptions<QwenImageConfig>,
): BranchFeeds {
  const textTokens = branches[0]!.tokens;
  const [height, width] = [size.height / 2, size.width / 2];
  const rotary = qwenImageRotaryTables({
    textTokens,
    height,
    width,
    references: references[0]?.map(({ size }) => ({ height: size.height / 2, width: size.width / 2 })) ?? [],
    axesDims: config.axesDimsRope,
  });
  return new BranchFeeds(runtime, {
    rows: branches.length,
    latents: {
      name: "hidden_states",
      dims: [height * width, config.inChannels],
      behind: referenceRows(references),
    },
    timestep: (timestep) => timestep / TRAIN_TIMESTEPS,
    trunk: {
      encoder_hidden_states: promptRows(branches, config.jointAttentionDim),
    },
    shared: {
      ...rotaryFeeds(rotary, config.attentionHeadDim),
      ...references.length > 0 && { [PICTURE_TOKENS]: tokenCount(height * width) },
    },
    conditioning: {},
    modulation: countedBranches(branches),
  });
}
