// The families' descriptions of single files: which networks a pipeline needs, how files name them, and
// where the rest is published.
import type { SchedulerConfig } from "../../../sampler/mod.ts";
import type { Weights } from "../weights.ts";
import type { Layout } from "./layout.ts";

/** A network of a pipeline. */
export interface Part {
  /** Its component in diffusers. */
  component: string;
  /** diffusers' or transformers' class. */
  className: string;
  /** The layouts that files have; the first that matches is used. */
  layouts: readonly Layout[];
  /** Whether a pipeline runs without the network. @default false */
  optional?: boolean;
  /**
   * Whether only a file of its own has the network, as its names are another network's too.
   * @default false
   */
  alone?: boolean;
}

export interface Denoiser extends Part {
  /**
   * Returns the options in config.json that the shapes decide.
   * @throws {CheckpointError} if a tensor that decides a size is missing.
   */
  sizes(weights: Weights): Record<string, unknown>;
}

/** The networks that one of diffusers' pipelines needs. */
export interface Architecture {
  pipelineClass: string;
  /**
   * Pipeline classes whose denoisers have the same tensors -> the common names of their models. The
   * components decide which one it is. @default none
   */
  siblings?: Readonly<Record<string, string>>;
  denoiser: Denoiser;
  /** Text encoders and autoencoder. */
  parts: readonly Part[];
  /** Component of each tokenizer -> transformers' class. */
  tokenizers: Readonly<Record<string, string>>;
  /** Names of tensors that belong to no network, such as markers and averages of training. */
  unused?: RegExp;
  /**
   * Returns what the denoiser is. @param tensors all tensors of the file, for markers
   * @throws {CheckpointError} if the kind is known and not supported.
   */
  variant(denoiser: Weights, tensors: Weights, options: VariantOptions): Variant;
}

export interface VariantOptions {
  /** Components that come from files of their own. */
  given: readonly string[];
}

export interface Variant {
  /** Common name of the model: "FLUX.1 [dev]". */
  title: string;
  /** The pipeline class, where the denoiser's shapes decide it. @default the architecture's */
  pipelineClass?: string;
  /** Repositories on the hub with its configs and tokenizers. The first is named in errors. */
  repositories: readonly [string, ...string[]];
  /** Its published scheduler, for components that come from a sibling's repository. */
  scheduler: SchedulerConfig;
  /** Options of the scheduler that the file decides, whatever the components say. @default none */
  schedulerOptions?: Readonly<Record<string, unknown>>;
}
