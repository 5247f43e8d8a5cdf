// Creates the inputs of Stable Diffusion 3's trunk and head, by the graphs' names.
import type { Sd3TransformerConfig } from "./sd3_config.ts";
import { type PictureFeedsOptions, promptRows } from "../../pipeline/transformer_feeds.ts";
import type { Runtime } from "../../runtime/mod.ts";
import { BranchFeeds } from "../../denoiser/branch_feeds.ts";

interface Sd3FeedsOptions extends PictureFeedsOptions<Sd3TransformerConfig> {
  /** Blocks that are skipped in every row. @default none */
  skippedLayers?: readonly number[];
}

/** Creates the tensors of a run. The returned feeds own them. */
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
