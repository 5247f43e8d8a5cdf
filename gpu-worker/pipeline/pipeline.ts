// The contract between families (families/) and what calls them (http/, cli/): one request makes one picture
// or one video.
import type { DecodedImage } from "../media/decoded_image.ts";
import type { DecodedVideo } from "../media/decoded_video.ts";
import type { StepKind } from "../../sampler/mod.ts";
import type { OnnxModel } from "../graph/graph_builder.ts";
import type { DType } from "../runtime/dtype.ts";
import type { Runtime } from "../runtime/mod.ts";
import type { GraphCache } from "../session/graph_cache.ts";
import type { BatchPlace } from "../denoiser/picture_batch.ts";
import type { RequestDefaults } from "../request/request_defaults.ts";
import type { GenerateRequest } from "../request/generate_request.ts";
import type { ModelDescription } from "../request/model_description.ts";
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
  /** Relative error that a forecast would have made here; measured at full passes that follow others. */
  forecastError?: number;
}

export interface GenerateOptions {
  /** Aborting rejects with the signal's reason before the next graph node, and frees what the run holds. */
  signal?: AbortSignal;
  onStep?: (step: StepProgress) => void | Promise<void>;
  /** Steps (0-based) after which `onPreview` is called. */
  previewSteps?: ReadonlySet<number>;
  /** Gets the estimate of the final picture (a video's middle frame) at that step, at most 256 pixels a side. */
  onPreview?: (index: number, image: DecodedImage) => void | Promise<void>;
  /**
   * Gets the last-block features of all steps, [steps, features], and the solver's sigmas, where every step is full. The
   * run then keeps them all in memory.
   */
  onFeatures?: (features: Float32Array, sigmas: ArrayLike<number>) => void;
  /** Its place among pictures that are made together: those that differ in prompts, seed and previews alone. The caller's. */
  batch?: BatchPlace;
}

export interface Seconds {
  encode: number;
  denoise: number;
  decode: number;
  total: number;
}

export interface LatentTensor {
  /** Shape that the denoiser works on, its batch of 1 included. */
  dims: readonly number[];
  data: Float32Array;
}

export interface GenerateResult {
  /** Of a video, the middle frame. */
  image: DecodedImage;
  /** Of video families alone. */
  video?: DecodedVideo;
  plan: readonly StepKind[];
  /** Step index -> relative forecast error measured there. */
  forecastErrors: ReadonlyMap<number, number>;
  initialLatents: LatentTensor;
  latents: LatentTensor;
  seconds: Seconds;
}

/** What `inspect`, /v1/models and receipts call a checkpoint. */
export interface ModelInfo {
  /** Name the user gave: "models/emoji" or "ORG/NAME". */
  id: string;
  /** diffusers' pipeline class, e.g. "FluxPipeline". */
  pipelineClass: string;
  /** Identifies all that decides a picture beside its request: weights, configs, LoRAs, device, compute type. Hex. */
  digest: string;
  /** Prompts it knows by heart, if the checkpoint ships a names.txt. */
  names?: readonly string[];
}

/** What a family reads of a checkpoint's configs and of its weights' headers. Nothing is loaded. */
export interface CheckpointReading extends ModelDescription {
  /**
   * Builds every graph that a run may use, which takes far longer than reading does.
   * @throws {CheckpointError} if a config contradicts the weights.
   */
  buildGraphs(): Readonly<Record<string, OnnxModel>>;
  /** Elements of the text's tokens of one picture, all branches, where a transformer's blocks work on both. @default 0 */
  conditioningElements?(request: Omit<RequestDefaults, "sampler">): number;
  /** What decoding takes at that size. */
  decoding: DecodingOf;
}

export interface OpenOptions {
  runtime: Runtime;
  /** Compute type of encoders and denoiser. The VAE computes in float32. */
  dtype: DType;
  model: ModelInfo;
  /** Whether text encoders, denoiser and VAE are in memory in turn instead of together. @default false */
  offload?: boolean;
  /** Where optimized graphs are kept. @default none */
  graphCache?: GraphCache;
  /** Whether whatever is larger than the VAE was trained for is decoded in tiles. @default false */
  vaeTiling?: boolean;
}

/** A loaded checkpoint. Several generate() may be under way at once, each with a history of its own, unless it is opened with `offload`. */
export interface Pipeline extends Disposable {
  readonly model: ModelInfo;
  /** What `completeRequest` takes. Whoever has loaded nothing gets it from `describeModel`. */
  readonly description: ModelDescription;
  /** Makes one picture or video of a request that `completeRequest` has completed. */
  generate(request: GenerateRequest, options?: GenerateOptions): Promise<GenerateResult>;
}
