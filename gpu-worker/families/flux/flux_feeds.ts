// Creates the inputs of FLUX's trunk and head, by the graphs' names.
import type { FluxTransformerConfig } from "./flux_config.ts";
import { fluxRotaryTables, type TokenGrid } from "../../graph/layers/attention/flux_rotary.ts";
import { PICTURE_TOKENS, tokenCount } from "../../denoiser/picture_tokens.ts";
import {
  promptRows,
  type ReferenceFeedsOptions,
  referenceRows,
  rotaryFeeds,
} from "../../pipeline/transformer_feeds.ts";
import type { Runtime } from "../../runtime/mod.ts";
import { BranchFeeds } from "../../denoiser/branch_feeds.ts";
import type { LatentSize } from "../../vae/latent_size.ts";

interface FluxFeedsOptions extends ReferenceFeedsOptions<FluxTransformerConfig> {
  guidanceScale: number;
  /**
   * The inputs beside the latents of FLUX.1 Fill, a row for each branch: [tokens, channels]. @default none
   */
  masked?: readonly Float32Array[];
}

const TRAIN_TIMESTEPS = 1000;

/** Creates the tensors of a run. The returned feeds own them. */
export function fluxFeeds(runtime: Runtime, options: FluxFeedsOptions): BranchFeeds {
  const { config, branches, size, guidanceScale, masked, references } = options;
  const textTokens = branches[0]!.tokens;
  const { height, width } = gridOf(size);
  const rotary = fluxRotaryTables({
    textTokens,
    height,
    width,
    axesDims: config.axesDimsRope,
    references: (references?.[0] ?? []).map(({ size }) => gridOf(size)),
  });
  const pooled = { dims: [config.pooledProjectionDim], rows: branches.map((branch) => branch.pooled) };
  const guidance = { dims: [], rows: branches.map(() => Float32Array.of(guidanceScale)) };
  return new BranchFeeds(runtime, {
    rows: branches.length,
    latents: {
      name: "hidden_states",
      dims: [height * width, config.outChannels],
      behind: referenceRows(references),
    },
    timestep: (timestep) => timestep / TRAIN_TIMESTEPS,
    trunk: {
      encoder_hidden_states: promptRows(branches, config.jointAttentionDim),
      ...masked && {
        masked: { dims: [height * width, config.inChannels - config.outChannels], rows: masked },
      },
    },
    shared: {
      ...rotaryFeeds(rotary, config.attentionHeadDim),
      ...references && { [PICTURE_TOKENS]: tokenCount(height * width) },
    },
    conditioning: { pooled_projections: pooled, ...config.guidanceEmbeds && { guidance } },
  });
}

/** Returns the grid of tokens of packed latents. */
function gridOf({ height, width }: LatentSize): TokenGrid {
  return { height: height / 2, width: width / 2 };
}
