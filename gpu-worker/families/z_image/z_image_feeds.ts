// Creates the inputs of Z-Image's trunk and head, by the graphs' names.
import { BranchFeeds } from "../../denoiser/branch_feeds.ts";
import { axisRotaryTables, type RotaryTables } from "../../pipeline/axis_rotary.ts";
import {
  countedBranches,
  type PictureFeedsOptions,
  promptRows,
  rotaryFeeds,
} from "../../pipeline/transformer_feeds.ts";
import type { Runtime } from "../../runtime/mod.ts";
import type { LatentSize } from "../../vae/latent_size.ts";
import { PATCH, TOKEN_MULTIPLE, type ZImageTransformerConfig } from "./z_image_config.ts";

/** Creates the tensors of a run. The returned feeds own them. */
export function zImageFeeds(
  runtime: Runtime,
  { config, branches, size }: PictureFeedsOptions<ZImageTransformerConfig>,
): BranchFeeds {
  const textTokens = branches[0]!.tokens;
  const [rows, columns] = zImageGrid(size);
  const rotary = zImageRotaryTables(config, { textTokens, rows, columns });
  return new BranchFeeds(runtime, {
    rows: branches.length,
    latents: { name: "hidden_states", dims: [size.channels, size.height, size.width] },
    timestep: risingTimestep,
    trunk: {
      encoder_hidden_states: promptRows(branches, config.capFeatDim),
    },
    shared: {
      ...rotaryFeeds(rotary, config.headDim),
    },
    conditioning: {},
    modulation: countedBranches(branches),
  });
}

/** Returns rows and columns of patches. */
export function zImageGrid({ height, width }: LatentSize): [rows: number, columns: number] {
  return [height / PATCH, width / PATCH];
}

/** Converts the solver's timestep, 1000..0, to the network's 0..1 in float32, as ZImagePipeline does. */
export function risingTimestep(timestep: number): number {
  return Math.fround(Math.fround(1000 - timestep) / 1000);
}

function padded(tokens: number): number {
  return Math.ceil(tokens / TOKEN_MULTIPLE) * TOKEN_MULTIPLE;
}

export interface ZImageRotaryOptions {
  textTokens: number;
  rows: number;
  columns: number;
}

/**
 * Returns the tables of the image's tokens, then the text's, both with padding. Text counts from 1 on the
 * first axis, its padding too. The image comes after it on that axis, and the image's padding is at 0.
 */
export function zImageRotaryTables(
  { axesDims, ropeTheta: theta }: ZImageTransformerConfig,
  { textTokens, rows, columns }: ZImageRotaryOptions,
): RotaryTables {
  const text = Array.from({ length: padded(textTokens) }, (_, i) => [i + 1, 0, 0]);
  const first = text.length + 1;
  const image = Array.from(
    { length: rows * columns },
    (_, i) => [first, Math.floor(i / columns), i % columns],
  );
  const padding = Array.from({ length: padded(image.length) - image.length }, () => [0, 0, 0]);
  const positions = [...image, ...padding, ...text];
  return axisRotaryTables({ positions, axesDims, theta, round: Math.fround });
}
