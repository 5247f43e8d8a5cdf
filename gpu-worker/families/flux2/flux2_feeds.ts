// Creates the inputs of FLUX.2's trunk and head, by the graphs' names.
import { BranchFeeds } from "../../denoiser/branch_feeds.ts";
import { PICTURE_TOKENS, tokenCount } from "../../denoiser/picture_tokens.ts";
import { axisRotaryTables, type RotaryTables } from "../../pipeline/axis_rotary.ts";
import {
  countedBranches,
  promptRows,
  type ReferenceFeedsOptions,
  referenceRows,
  rotaryFeeds,
} from "../../pipeline/transformer_feeds.ts";
import type { Runtime } from "../../runtime/mod.ts";
import type { LatentSize } from "../../vae/latent_size.ts";
import type { Flux2TransformerConfig } from "./flux2_config.ts";
import { countTokens } from "./flux2_latents.ts";

const TRAIN_TIMESTEPS = 1000;

/** Creates the tensors of a run. The returned feeds own them. */
export function flux2Feeds(
  runtime: Runtime,
  { config, branches, size, references = [] }: ReferenceFeedsOptions<Flux2TransformerConfig>,
): BranchFeeds {
  const textTokens = branches[0]!.tokens;
  const tokens = countTokens(size);
  const rotary = flux2RotaryTables(config, {
    textTokens,
    picture: size,
    references: (references[0] ?? []).map(({ size }) => size),
  });
  return new BranchFeeds(runtime, {
    rows: branches.length,
    latents: {
      name: "hidden_states",
      dims: [tokens, config.inChannels],
      behind: referenceRows(references),
    },
    timestep: (timestep) => timestep / TRAIN_TIMESTEPS,
    trunk: {
      encoder_hidden_states: promptRows(branches, config.jointAttentionDim),
    },
    shared: {
      ...rotaryFeeds(rotary, config.attentionHeadDim),
      [PICTURE_TOKENS]: tokenCount(tokens),
    },
    conditioning: {},
    modulation: countedBranches(branches),
  });
}

/** Rows and columns of tokens. */
type TokenGrid = Pick<LatentSize, "height" | "width">;

export interface Flux2RotaryOptions {
  textTokens: number;
  picture: TokenGrid;
  /** The images behind the picture. @default none */
  references?: readonly TokenGrid[];
}

/** References are that far apart in time, from the picture on (Flux2KleinPipeline._prepare_image_ids). */
const REFERENCE_TIME = 10;

/**
 * Returns the tables of the text's tokens, then the picture's, then the references'. The axes are time,
 * row, column and place in the text: text is at 0 on the first three, and images are at 0 on the last.
 */
export function flux2RotaryTables(
  { axesDimsRope: axesDims, ropeTheta: theta }: Flux2TransformerConfig,
  { textTokens, picture, references = [] }: Flux2RotaryOptions,
): RotaryTables {
  const text = Array.from({ length: textTokens }, (_, i) => [0, 0, 0, i]);
  const images = [picture, ...references].flatMap(({ height, width }, index) =>
    Array.from(
      { length: height * width },
      (_, i) => [index * REFERENCE_TIME, Math.floor(i / width), i % width, 0],
    )
  );
  return axisRotaryTables({ positions: [...text, ...images], axesDims, theta });
}
