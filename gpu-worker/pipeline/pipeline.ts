// The contract between families (families/) and what calls them (http/, cli/): one request makes one picture
// or one video.
import type { DecodedImage } from "../media/decoded_image.ts";
import type { DecodedVideo } from "../media/decoded_video.ts";
import type { SamplerOptions, StepKind } from "../../sampler/mod.ts";
import type { OnnxModel } from "../graph/graph_builder.ts";
import type { DType } from "../runtime/dtype.ts";
import type { Runtime } from "../runtime/mod.ts";
import type { GraphCache } from "../session/graph_cache.ts";
import type { RequestRules } from "../request/complete_request.ts";
import type { BatchPlace } from "../denoiser/picture_batch.ts";
import type { RequestDefaults } from "../checkpoint/stored_defaults.ts";
import type { PartialStartImage, StartImage } from "../request/start_image.ts";
import type { PartialSkipLayerGuidance, SkipLayerGuidance } from "../request/skip_layer_guidance.ts";

/** One picture or video to make, every field filled in. */
export interface GenerateRequest {
  prompt: string;
  negativePrompt: string;
  /** Whole number in 0..2^53-1; the same seed gives diffusers' picture for torch.Generator("cpu"). */
  seed: number;
  steps: number;
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
  /** Frames of a video; 1 for pictures. */
  numFrames: number;
  /** Frames a second that the video is played at, which decides no pixel; 0 for pictures. */
  fps: number;
  /** Distilled guidance (FLUX.1-dev) or classifier-free guidance, by family. */
  guidanceScale: number;
  /** FLUX's true classifier-free guidance; 1 switches it off. */
  trueCfgScale: number;
  /** How far classifier-free guidance keeps the spread of the prompt's own output, 0..1 (arXiv 2305.08891); 0 is off. */
  guidanceRescale: number;
  /** Tokens of the T5 prompt. */
  maxSequenceLength: number;
  /** Stable Diffusion 3.5's guidance away from the network with blocks left out. @default none */
  skipLayerGuidance?: SkipLayerGuidance;
  /** Image to image. @default noise alone, text to image */
  startImage?: StartImage;
  sampler: SamplerOptions;
}

type GivenOrNested = "prompt" | "seed" | "sampler" | "skipLayerGuidance" | "startImage";

/** What a request may leave open; `Pipeline.complete` fills it from the checkpoint's defaults. */
export type PartialRequest =
  & Pick<GenerateRequest, "prompt" | "seed">
  & { [K in Exclude<keyof GenerateRequest, GivenOrNested>]?: GenerateRequest[K] | undefined }
  & { skipLayerGuidance?: PartialSkipLayerGuidance | undefined }
  & PartialStartImage
  & { sampler?: { [K in keyof SamplerOptions]?: SamplerOptions[K] | undefined } | undefined };

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

/** What `inspect`, /v1/models and receipts say of a loaded checkpoint. */
export interface ModelInfo {
  /** Name the user gave: "models/emoji" or "ORG/NAME". */
  id: string;
  /** diffusers' pipeline class, e.g. "FluxPipeline". */
  pipelineClass: string;
  /** Identifies the weights and configs, hex. */
  digest: string;
  /** Whether it makes videos rather than pictures. @default false */
  videos?: boolean;
  /** Prompts it knows by heart, if the checkpoint ships a names.txt. */
  names?: readonly string[];
}

/** In elements, float32 all. */
export interface DecodingSize {
  /** Of one picture's or video's latents. */
  latents: number;
  /** The largest activation of a run of the decoder. */
  activation: number;
}

/** What a checkpoint asks for, before anything is loaded. */
export interface CheckpointReading {
  defaults: RequestDefaults;
  rules: RequestRules;
  /** Every graph that a run may use. */
  graphs: Readonly<Record<string, OnnxModel>>;
  /** Elements of the last-block feature of one picture at that size, all branches. */
  featureElements(request: Omit<RequestDefaults, "sampler">): number;
  /** The same of the text's tokens, where a transformer's blocks work on both. @default 0 */
  conditioningElements?(request: Omit<RequestDefaults, "sampler">): number;
  /** What decoding takes at that size. */
  decoding(request: Omit<RequestDefaults, "sampler">, options?: { vaeTiling: boolean }): DecodingSize;
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
  /** What `complete` fills in. */
  readonly defaults: RequestDefaults;
  /** What it allows. */
  readonly rules: RequestRules;
  /**
   * Fills in defaults (checkpoint's spectrum.json, then the family's preset) and checks every field. Works after
   * disposal as well: a server checks requests for models that it has unloaded.
   * @throws {RangeError | TypeError} naming the field, the rule and the value.
   */
  complete(request: PartialRequest): GenerateRequest;
  /** How many requests like this one are worth running as one batch; 1 for those that cannot. */
  batchLimit(request: GenerateRequest): number;
  /** Makes one picture or video. */
  generate(request: GenerateRequest, options?: GenerateOptions): Promise<GenerateResult>;
}
