// The graphs, sizes and inputs of a denoiser.
import type { DType } from "../runtime/dtype.ts";
import type { Tensor } from "../runtime/mod.ts";
import type { GraphSession } from "../session/session_loader.ts";

export type Feeds = Record<string, Tensor>;

/** The graphs of a denoiser. */
export interface DenoiserSessions {
  /**
   * Latents, conditioning, forecast_weights, history ->
   * output, and the outputs that `featureOutput` declares.
   */
  trunk: GraphSession;
  /**
   * forecast_weights, history, output_weights [outputs, rows] and the modulation's outputs -> output:
   * weighted sums over the rows of all steps, step-major.
   */
  head: GraphSession;
  /**
   * `modulationFeeds` -> the head's inputs scale [rows, 1, features] and shift [rows, features]
   * (`modulationOutputs`), for the rows of all steps, step-major. @default none
   */
  modulation?: GraphSession;
  /** `featureSum`, for runtimes whose tensors have no addresses. @default none */
  featureSum?: GraphSession;
}

/** Combines the branches' outputs, [branches, length], into one, [length]. */
export type GuideRows = (output: Float32Array) => Float32Array;

/** The sizes that a denoiser allocates its tensors for. */
export interface DenoiserShape {
  /** Pictures that run together. @default 1 */
  pictures?: number;
  /**
   * Rows of each picture: 2 under classifier-free guidance, else 1. Each row has its own part of the history.
   */
  branches: number;
  /** Number of full passes that a forecast uses: slots of the history. */
  slots: number;
  /** Steps of the run. The modulation has one row for each step and branch. */
  steps: number;
  /** Shape of one picture's latents, as the graphs return them. */
  outputDims: readonly number[];
  /** Shape of the feature without the batch dimension. */
  featureDims: readonly number[];
  /** Element type of the feature. */
  featureType: DType;
  /**
   * Guidance: factors of the branches' outputs, [branches], which
   * are then summed; or a function where a sum is not enough.
   */
  guide: readonly number[] | GuideRows;
}

/** Returns the number of rows: the branches of all pictures. */
export function rowsOf({ pictures = 1, branches }: DenoiserShape): number {
  return pictures * branches;
}

/** One full pass, as far as a ControlNet sees it. */
export interface ControlCall {
  step: number;
  latents: Float32Array;
  timestep: number;
  /** The trunk's inputs. */
  feeds: Feeds;
  /** Owns the residuals. */
  owned: DisposableStack;
  signal: AbortSignal | undefined;
}

/** Returns the trunk's inputs that hold residuals. */
export type Residuals = (call: ControlCall) => Feeds | Promise<Feeds>;

/** The inputs that a run feeds. */
export interface DenoiserFeeds {
  /**
   * Returns the trunk's inputs; each picture's latents are repeated for each of its branches. The callee owns
   * the tensors, which are valid until the next call.
   */
  trunkFeeds: (latents: Float32Array, timestep: number) => Feeds;
  /** Returns the modulation's inputs for every step of the run. Called once; the callee owns the tensors. */
  modulationFeeds?: () => Feeds;
  /** Returns the trunk's inputs that a ControlNet computes. @default the trunk has none */
  residuals?: Residuals | undefined;
}
