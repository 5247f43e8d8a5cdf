// The contract between the families (families/) and their callers
// (http/, cli/). One request makes one picture or one video.
import type { DecodedImage, ImageSize } from "../media/decoded_image.ts";
import type { DecodedVideo } from "../media/decoded_video.ts";
import type { ResolvedSamplerOptions, Solver, StepKind } from "../../sampler/mod.ts";
import type { ModelCalibration } from "../request/model_calibration.ts";
import type { BuildGraphsOptions } from "../graph/build_graphs_options.ts";
import type { OnnxModel } from "../graph/graph_builder.ts";
import type { DType } from "../runtime/dtype.ts";
import type { Runtime } from "../runtime/mod.ts";
import type { HeldWeights } from "../checkpoint/blocks/quantization_of.ts";
import type { GraphCache } from "../session/graph_cache.ts";
import type { WeightStore } from "../session/weight_store.ts";
import type { BatchPlace } from "../denoiser/picture_batch.ts";
import type { RequestDefaults } from "../request/request_defaults.ts";
import type { GenerateRequest } from "../request/generate_request.ts";
import type { ModelDescription } from "../request/model_description.ts";
import type { TowerSize } from "../text/qwen_vision/tower_size.ts";
import type { TextCut } from "../text/text_cut.ts";
import type { CalibrationReport } from "./run_forecaster.ts";
import type { DecodingOf } from "../vae/decoding_size.ts";

/** A finished sampling step. */
export interface StepProgress {
  /** 0-based. */
  index: number;
  steps: number;
  kind: StepKind;
  sigma: number;
  /** Milliseconds since denoising began. */
  elapsedMs: number;
  /**
   * Relative error that a forecast would have had at this step. Measured at full passes that have a history.
   */
  forecastError?: number;
}

export interface GenerateOptions {
  /** Aborting rejects with the signal's reason before the next graph node, and frees the run's memory. */
  signal?: AbortSignal;
  onStep?: (step: StepProgress) => void | Promise<void>;
  /** Steps (0-based) after which `onPreview` is called. */
  previewSteps?: ReadonlySet<number>;
  /**
   * Receives the estimate of the final picture (or of a video's middle frame), at most 256 pixels a side.
   */
  onPreview?: (index: number, image: DecodedImage) => void | Promise<void>;
  /** Receives each step's feature right after its pass. Every step must be a full pass. */
  onFeature?: (feature: StepFeature) => void;
  /** A calibration to try in place of the checkpoint's. */
  calibration?: ModelCalibration;
  /**
   * The run's place in a picture batch. Its pictures may differ only
   * in prompts, seed and previews. The caller disposes of it.
   */
  batch?: BatchPlace;
}

/** The feature of a full pass, on the host. */
export interface StepFeature {
  /** 0-based. */
  index: number;
  /** Grid of the run's solver. */
  solver: Pick<Solver, "timesteps" | "sigmas">;
  /** [branches, ...dims]. Valid until the callback returns. */
  data: Float32Array;
  branches: number;
  /** Shape of one branch's feature. */
  dims: readonly number[];
  /** Whether the first of `dims` counts the channels; otherwise it is the last. */
  channelsFirst: boolean;
}

export interface Seconds {
  encode: number;
  denoise: number;
  decode: number;
  total: number;
}

export interface LatentTensor {
  /** The denoiser's shape, including its batch of 1. */
  dims: readonly number[];
  data: Float32Array;
}

export interface GenerateResult {
  /** The picture, or a video's middle frame. */
  image: DecodedImage;
  /** Set only by video families. */
  video?: DecodedVideo;
  plan: readonly StepKind[];
  /** The options that the run used. They differ from the request's where its calibration does not reach. */
  sampler: ResolvedSamplerOptions;
  /** Set by runs of method calibrated. */
  calibration?: CalibrationReport;
  /** Step index -> relative forecast error measured at that step. */
  forecastErrors: ReadonlyMap<number, number>;
  initialLatents: LatentTensor;
  latents: LatentTensor;
  seconds: Seconds;
  /** How much of the prompt no text encoder has read. @default nothing was left out */
  promptCut?: TextCut | undefined;
  /** The same of the negative prompt, where one was encoded. @default nothing was left out */
  negativePromptCut?: TextCut | undefined;
}

/** Identity of a checkpoint, as `inspect`, /v1/models and receipts show it. */
export interface ModelInfo {
  /** The name that the user gave: "models/emoji" or "ORG/NAME". */
  id: string;
  /** diffusers' pipeline class, e.g. "FluxPipeline". */
  pipelineClass: string;
  /** Common name of a single file's model: "Stable Diffusion XL". */
  title?: string;
  /** How linear layers hold their weights: as-stored, int8 or int4. */
  weights: HeldWeights;
  /**
   * Digest, in hex, of everything besides the request that affects a picture: weights, configs, LoRAs,
   * device, compute type.
   */
  digest: string;
  /** The prompts that the checkpoint was trained on, if it ships a names.txt. */
  names?: readonly string[];
}

/** A checkpoint's configs and its weights' headers, as its family has read them. Nothing is loaded. */
export interface CheckpointReading extends ModelDescription {
  /**
   * Builds every graph that a run may use. This takes far longer than reading.
   * @throws {CheckpointError} if a config contradicts the weights.
   */
  buildGraphs(options?: BuildGraphsOptions): Readonly<Record<string, OnnxModel>>;
  /**
   * Counts the elements of one picture's text tokens, over all
   * branches, for transformers whose blocks work on image and text.
   * @default 0
   */
  conditioningElements?(request: Omit<RequestDefaults, "sampler">): number;
  /**
   * Counts the float32 elements that given frames add to one video's inputs, over all branches. @default 0
   */
  conditionElements?(request: Omit<RequestDefaults, "sampler">): number;
  /** Returns the size of a reference for the vision tower. @default no tower sees references */
  towerSize?(reference: ImageSize): TowerSize;
  /**
   * Counts the elements of the masks and scores of a condition's tokens, where attention does not do
   * without. @default 0
   */
  scoreElements?(tokens: number): number;
  /** Returns the memory that decoding needs at a given size. */
  decoding: DecodingOf;
}

export interface OpenOptions {
  runtime: Runtime;
  /** Compute type of text encoders and denoiser. The VAE always computes in float32. */
  dtype: DType;
  model: ModelInfo;
  /**
   * Whether text encoders, denoiser and VAE take turns in
   * memory instead of all staying loaded. @default false
   */
  offload?: boolean;
  /** Cache of optimized graphs. @default no cache */
  graphCache?: GraphCache;
  /** Owns the weights that are converted before ONNX Runtime can use them. The caller disposes of it. */
  weightStore: WeightStore;
  /** Whether pictures larger than the VAE's training size are decoded in tiles. @default false */
  vaeTiling?: boolean;
}

/**
 * A loaded checkpoint. Several generate() calls may run at once, each
 * with its own history, unless it was opened with `offload`.
 */
export interface Pipeline extends Disposable {
  readonly model: ModelInfo;
  /**
   * Defaults and rules for `completeRequest`. `describeModel`
   * returns the same without loading the checkpoint.
   */
  readonly description: ModelDescription;
  /** Makes one picture or video. `request` must come from `completeRequest`. */
  generate(request: GenerateRequest, options?: GenerateOptions): Promise<GenerateResult>;
}
