// Creates the inputs of FLUX.2's trunk and head, by the graphs' names.
import { BranchFeeds } from "../../denoiser/branch_feeds.ts";
import { axisRotaryTables, type RotaryTables } from "../../pipeline/axis_rotary.ts";
import type { Runtime } from "../../runtime/mod.ts";
import type { EncodedPrompt } from "../../text/encoded_prompt.ts";
import type { LatentSize } from "../../vae/latent_size.ts";
import type { Flux2TransformerConfig } from "./flux2_config.ts";
import { countTokens } from "./flux2_latents.ts";

export interface Flux2FeedsOptions {
  config: Flux2TransformerConfig;
  /** For each picture the prompt and, under guidance, the negative prompt. All have equal lengths. */
  branches: readonly EncodedPrompt[];
  size: LatentSize;
}

const TRAIN_TIMESTEPS = 1000;

/** Creates the tensors of a run. The returned feeds own them. */
export function flux2Feeds(runtime: Runtime, { config, branches, size }: Flux2FeedsOptions): BranchFeeds {
  const textTokens = branches[0]!.tokens;
  const tokens = countTokens(size);
  const { cos, sin } = flux2RotaryTables(config, { textTokens, rows: size.height, columns: size.width });
  const rotaryDims = [textTokens + tokens, config.attentionHeadDim / 2];
  return new BranchFeeds(runtime, {
    rows: branches.length,
    latents: { name: "hidden_states", dims: [tokens, config.inChannels] },
    timestep: (timestep) => timestep / TRAIN_TIMESTEPS,
    trunk: {
      encoder_hidden_states: {
        dims: [textTokens, config.jointAttentionDim],
        rows: branches.map(({ embeds }) => embeds),
      },
    },
    shared: {
      rotary_cos: { dims: rotaryDims, data: cos },
      rotary_sin: { dims: rotaryDims, data: sin },
    },
    conditioning: {},
    // Only the number of rows matters: the modulation depends on nothing else of a branch.
    modulation: { branches: { dims: [], rows: branches.map(() => new Float32Array(1)) } },
  });
}

export interface Flux2RotaryOptions {
  textTokens: number;
  rows: number;
  columns: number;
}

/**
 * Returns the tables of the text's tokens, then the image's. The axes are time, row, column and place in the
 * text: each kind of token is at 0 on the axes of the other.
 */
export function flux2RotaryTables(
  { axesDimsRope: axesDims, ropeTheta: theta }: Flux2TransformerConfig,
  { textTokens, rows, columns }: Flux2RotaryOptions,
): RotaryTables {
  const text = Array.from({ length: textTokens }, (_, i) => [0, 0, 0, i]);
  const image = Array.from(
    { length: rows * columns },
    (_, i) => [0, Math.floor(i / columns), i % columns, 0],
  );
  return axisRotaryTables({ positions: [...text, ...image], axesDims, theta });
}
