// Creates the inputs of Wan's trunk and head, by the graphs' names.
import type { WanTransformerConfig } from "./wan_config.ts";
import { wanRotaryTables } from "./wan_rotary.ts";
import { countedBranches, promptRows, rotaryFeeds } from "../../pipeline/transformer_feeds.ts";
import type { Runtime } from "../../runtime/mod.ts";
import { BranchFeeds, type BranchRows } from "../../denoiser/branch_feeds.ts";
import type { FrameCondition } from "../../pipeline/frame_condition.ts";
import type { VideoSize } from "../../vae/video_size.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";

export interface WanFeedsOptions {
  config: WanTransformerConfig;
  /** The prompt and, under classifier-free guidance, the negative prompt. Both have equal lengths. */
  branches: readonly EncodedPrompt[];
  size: VideoSize;
  /** Inputs that given frames add, for each of the branches. @default videos begin from text alone */
  conditions?: readonly FrameCondition[] | undefined;
}

/** Creates the tensors of a run. The returned feeds own them. */
export function wanFeeds(
  runtime: Runtime,
  { config, branches, size, conditions = [] }: WanFeedsOptions,
): BranchFeeds {
  const [frames, rows, columns] = wanGrid(config, size);
  const headDim = config.attentionHeadDim;
  const rotary = wanRotaryTables({ frames, rows, columns, headDim });
  return new BranchFeeds(runtime, {
    rows: branches.length,
    latents: { name: "hidden_states", dims: [size.channels, size.frames, size.height, size.width] },
    trunk: {
      encoder_hidden_states: promptRows(branches, config.textDim),
      ...frameInputs(conditions, { config, size }),
    },
    ...config.frameTimesteps &&
      { held: { frames: size.frames, rows: branches.map((_, i) => conditions[i]?.held) } },
    shared: {
      ...rotaryFeeds(rotary, headDim),
    },
    conditioning: {},
    modulation: countedBranches(branches),
  });
}

/** Returns the inputs that only networks for given frames have. */
function frameInputs(
  conditions: readonly FrameCondition[],
  { config, size }: Pick<WanFeedsOptions, "config" | "size">,
): Record<string, BranchRows> {
  const { inChannels, outChannels, imageDim } = config;
  return {
    ...inChannels > outChannels && {
      condition: {
        dims: [inChannels - outChannels, size.frames, size.height, size.width],
        rows: conditions.map(({ channels }) => channels!),
      },
    },
    ...imageDim !== undefined && {
      encoder_hidden_states_image: {
        dims: [conditions[0]!.states!.length / imageDim, imageDim],
        rows: conditions.map(({ states }) => states!),
      },
    },
  };
}

/** Returns the frames, rows and columns of patches. */
export function wanGrid(
  { patchHeight, patchWidth }: WanTransformerConfig,
  { frames, height, width }: VideoSize,
): [frames: number, rows: number, columns: number] {
  return [frames, height / patchHeight, width / patchWidth];
}
