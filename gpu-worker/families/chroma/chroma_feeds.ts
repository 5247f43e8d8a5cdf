// Creates the inputs of Chroma's trunk and head, by the graphs' names.
import { BranchFeeds } from "../../denoiser/branch_feeds.ts";
import { fluxRotaryTables } from "../../graph/layers/attention/flux_rotary.ts";
import { countedBranches, promptRows, rotaryFeeds } from "../../pipeline/transformer_feeds.ts";
import type { Runtime } from "../../runtime/mod.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";
import type { LatentSize } from "../../vae/latent_size.ts";
import type { ChromaTransformerConfig } from "./chroma_config.ts";

export interface ChromaFeedsOptions {
  config: ChromaTransformerConfig;
  /** For each picture the prompt and, under guidance, the negative prompt. All have equal lengths. */
  branches: readonly EncodedPrompt[];
  size: LatentSize;
}

const TRAIN_TIMESTEPS = 1000;

export function chromaFeeds(runtime: Runtime, { config, branches, size }: ChromaFeedsOptions): BranchFeeds {
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
