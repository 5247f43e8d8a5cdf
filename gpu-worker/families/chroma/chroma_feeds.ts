// Creates the inputs of Chroma's trunk and head, by the graphs' names.
import { BranchFeeds } from "../../denoiser/branch_feeds.ts";
import { fluxRotaryTables } from "../../graph/layers/attention/flux_rotary.ts";
import {
  countedBranches,
  type PictureFeedsOptions,
  promptRows,
  rotaryFeeds,
} from "../../pipeline/transformer_feeds.ts";
import type { Runtime } from "../../runtime/mod.ts";
import type { ChromaTransformerConfig } from "./chroma_config.ts";

const TRAIN_TIMESTEPS = 1000;

/** Creates the tensors of a run. The returned feeds own them. */
export function chromaFeeds(
  runtime: Runtime,
  { config, branches, size }: PictureFeedsOptions<ChromaTransformerConfig>,
): BranchFeeds {
  const textTokens = branches[0]!.tokens;
  const [height, width] = [size.height / 2, size.width / 2];
  const rotary = fluxRotaryTables({ textTokens, height, width, axesDims: config.axesDimsRope });
  return new BranchFeeds(runtime, {
    rows: branches.length,
    latents: { name: "hidden_states", dims: [height * width, config.inChannels] },
    timestep: (timestep) => timestep / TRAIN_TIMESTEPS,
    trunk: {
      encoder_hidden_states: promptRows(branches, config.jointAttentionDim),
      text_mask: {
        dims: [textTokens],
        rows: branches.map(({ mask }) => mask ?? new Float32Array(textTokens).fill(1)),
      },
    },
    shared: {
      ...rotaryFeeds(rotary, config.attentionHeadDim),
    },
    conditioning: {},
    modulation: countedBranches(branches),
  });
}
