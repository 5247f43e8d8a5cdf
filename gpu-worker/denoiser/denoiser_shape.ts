// What a denoiser is made from and for: its graphs, the sizes of a run, and what the run feeds.
import type { DType } from "../runtime/dtype.ts";
import type { Tensor } from "../runtime/mod.ts";
import type { GraphSession } from "../session/session_loader.ts";

export type Feeds = Record<string, Tensor>;

/** The graphs of a denoiser. */
export interface DenoiserSessions {
  /** Latents, conditioning, forecast_weights, history -> output and what `featureOutput` declares. */
  trunk: GraphSession;
  /**
   * forecast_weights, history, output_weights [outputs, rows] and what the modulation gives -> output: weighted sums over the
   * rows of all steps, step-major.
   */
  head: GraphSession;
  /**
   * From `modulationFeeds` to the head's inputs scale [rows, 1, features] and shift [rows, features] (`modulationOutputs`), for
   * the rows of all steps, step-major. @default none
   */
  modulation?: GraphSession;
}

/** Combines the branches' outputs, [branches, length], into one, [length]. */
export type GuideRows = (output: Float32Array) => Float32Array;

/** What the tensors of a denoiser are made for. */
export interface DenoiserShape {
  /** Pictures that run together. @default 1 */
  pictures?: number;
  /** Rows of each picture, each with its own part of the history: 2 under classifier-free guidance, else 1. */
  branches: number;
  /** Full passes that a forecast follows: slots of the history. */
  slots: number;
  /** Steps of the run: rows of the modulation for each branch. */
  steps: number;
  /** Shape of the latents of one picture, as the graphs return them. */
  outputDims: readonly number[];
  /** Shape of the last-block feature without the batch. */
  featureDims: readonly number[];
  /** Element type of the feature. */
  featureType: DType;
  /** Guidance as factors of the branches' outputs, [branches], whose sum it is; or as a function where it is more than that. */
  guide: readonly number[] | GuideRows;
}

/** Branches of all pictures. */
export function rowsOf({ pictures = 1, branches }: DenoiserShape): number {
  return pictures * branches;
}

/** What a run feeds besides. */
export interface DenoiserFeeds {
  /** Inputs of the trunk, the latents of each picture repeated for each of its branches. They stay the callee's, valid until the next call. */
  trunkFeeds: (latents: Float32Array, timestep: number) => Feeds;
  /** Inputs of the modulation for every step of the run, computed once. They stay the callee's. */
  modulationFeeds?: () => Feeds;
}
