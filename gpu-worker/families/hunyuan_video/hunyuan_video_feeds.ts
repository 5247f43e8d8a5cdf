// Creates the inputs of HunyuanVideo's trunk and head, by the graphs' names.
import type { HunyuanVideoTransformerConfig } from "./hunyuan_video_config.ts";
import { hunyuanVideoRotaryTables } from "./hunyuan_video_rotary.ts";
import { promptRows, rotaryFeeds } from "../../pipeline/transformer_feeds.ts";
import type { Runtime } from "../../runtime/mod.ts";
import { BranchFeeds } from "../../denoiser/branch_feeds.ts";
import type { FrameCondition } from "../../pipeline/frame_condition.ts";
import type { VideoSize } from "../../vae/video_size.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";

export interface HunyuanVideoFeedsOptions {
  config: HunyuanVideoTransformerConfig;
  /** Prompts of equal length, so usually a single one. */
  branches: readonly EncodedPrompt[];
  size: VideoSize;
  guidanceScale: number;
  /** Inputs that a given first frame adds. @default videos begin from text alone */
  conditions?: readonly FrameCondition[] | undefined;
}

/** Creates the tensors of a run. The returned feeds own them. */
export function hunyuanVideoFeeds(runtime: Runtime, options: HunyuanVideoFeedsOptions): BranchFeeds {
  const { config, branches, size, guidanceScale, conditions = [] } = options;
  const { inChannels, outChannels, imageCondition } = config;
  const { tokens } = branches[0]!;
  const grid = patchGrid(config, size);
  const rotary = hunyuanVideoRotaryTables({
    textTokens: tokens,
    grid,
    axesDims: config.ropeAxesDim,
    theta: config.ropeTheta,
  });
  const pooled = { dims: [config.pooledProjectionDim], rows: branches.map(({ pooled }) => pooled) };
  const guidance = { dims: [], rows: branches.map(() => Float32Array.of(guidanceScale)) };
  return new BranchFeeds(runtime, {
    rows: branches.length,
    latents: { name: "hidden_states", dims: [size.channels, size.frames, size.height, size.width] },
    trunk: {
      encoder_hidden_states: promptRows(branches, config.textEmbedDim),
      ...imageCondition === "latent_concat" && {
        condition: {
          dims: [inChannels - outChannels, size.frames, size.height, size.width],
          rows: branches.map((_, i) => conditions[i]!.channels!),
        },
      },
    },
    ...imageCondition === "token_replace" && {
      held: { frames: size.frames, rows: branches.map((_, i) => conditions[i]!.held), areKnown: true },
    },
    shared: {
      ...rotaryFeeds(rotary, config.attentionHeadDim),
    },
    conditioning: { pooled_projections: pooled, ...config.guidanceEmbeds && { guidance } },
  });
}

/** Returns the number of patches in time, down and across. */
export function patchGrid(
  { patchSize, patchSizeT }: HunyuanVideoTransformerConfig,
  { frames, height, width }: VideoSize,
): [frames: number, rows: number, columns: number] {
  return [frames / patchSizeT, height / patchSize, width / patchSize];
}
