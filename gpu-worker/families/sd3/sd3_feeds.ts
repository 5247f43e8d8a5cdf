// Creates the inputs of Stable Diffusion 3's trunk and head, by the graphs' names.
import type { Sd3TransformerConfig } from "./sd3_config.ts";
import { promptRows } from "../../pipeline/transformer_feeds.ts";
import type { Runtime } from "../../runtime/mod.ts";
import { BranchFeeds } from "../../denoiser/branch_feeds.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";
import type { LatentSize } from "../../vae/latent_size.ts";

export interface Sd3FeedsOptions {
  config: Sd3TransformerConfig;
  /** The prompt and, under classifier-free guidance, the negative prompt. Both have equal lengths. */
  branches: readonly EncodedPrompt[];
  size: LatentSize;
  /** Blocks that are skipped in every row. @default none */
  skippedLayers?: readonly number[];
}

export function sd3Feeds(runtime: Runtime, options: Sd3FeedsOptions): BranchFeeds {
  const { config, branches, size, skippedLayers = [] } = options;
  const mask = new Float32Array(config.numLayers).fill(1);
  for (const layer of skippedLayers) mask[layer] = 0;
  return new BranchFeeds(runtime, {
    rows: branches.length,
    latents: { name: "hidden_states", dims: [size.channels, size.height, size.width] },
    trunk: {
      encoder_hidden_states: promptRows(branches, config.jointAttentionDim),
      layer_mask: { dims: [config.numLayers], rows: branches.map(() => mask) },
    },
    conditioning: {
      pooled_projections: {
        dims: [config.pooledProjectionDim],
        rows: branches.map((branch) => branch.pooled),
      },
    },
  });
}
