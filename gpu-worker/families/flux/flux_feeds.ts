// Creates the inputs of FLUX's trunk and head, by the graphs' names.
import type { FluxTransformerConfig } from "./flux_config.ts";
import { fluxRotaryTables } from "../../graph/layers/attention/flux_rotary.ts";
import type { Runtime } from "../../runtime/mod.ts";
import { BranchFeeds } from "../../denoiser/branch_feeds.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";
import type { LatentSize } from "../../vae/latent_size.ts";

export interface FluxFeedsOptions {
  config: FluxTransformerConfig;
  /**
   * For each picture the prompt and, under true classifier-free guidance, the negative
   * prompt. All have equal lengths.
   */
  branches: readonly EncodedPrompt[];
  size: LatentSize;
  guidanceScale: number;
}

const TRAIN_TIMESTEPS = 1000;

export function fluxFeeds(runtime: Runtime, options: FluxFeedsOptions): BranchFeeds {
  const { config, branches, size, guidanceScale } = options;
  const textTokens = branches[0]!.tokens;
  const [height, width] = [size.height / 2, size.width / 2];
  const { cos, sin } = fluxRotaryTables({ textTokens, height, width, axesDims: config.axesDimsRope });
  const rotaryDims = [textTokens + height * width, config.attentionHeadDim / 2];
  const pooled = { dims: [config.pooledProjectionDim], rows: branches.map((branch) => branch.pooled) };
  const guidance = { dims: [], rows: branches.map(() => Float32Array.of(guidanceScale)) };
  return new BranchFeeds(runtime, {
    rows: branches.length,
    latents: { name: "hidden_states", dims: [height * width, config.inChannels] },
    timestep: (timestep) => timestep / TRAIN_TIMESTEPS,
    trunk: {
      encoder_hidden_states: {
        dims: [textTokens, config.jointAttentionDim],
        rows: branches.map((branch) => branch.embeds),
      },
    },
    shared: {
      rotary_cos: { dims: rotaryDims, data: cos },
      rotary_sin: { dims: rotaryDims, data: sin },
    },
    conditioning: { pooled_projections: pooled, ...config.guidanceEmbeds && { guidance } },
  });
}
