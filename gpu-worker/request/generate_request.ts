// A request with every field filled in, and the partial request that callers send.
import type { ChosenScheduler, Quality, ResolvedSamplerOptions, SamplerRequest } from "../../sampler/mod.ts";
import type { DecodedImage, ImageSize } from "../media/decoded_image.ts";
import type { SchedulerRequest } from "./complete_scheduler.ts";
import type { Control, PartialControl } from "./control.ts";
import type { PartialReferences, ReferenceImage } from "./references.ts";
import type { PartialStartImage, StartImage } from "./start_image.ts";
import type { PartialSkipLayerGuidance, SkipLayerGuidance } from "./skip_layer_guidance.ts";
import type { PartialFrames, VideoFrames } from "./video_frames.ts";

/**
 * One picture or video to make, with every field filled
 * in. Until the run begins, its image may be only a size.
 */
export interface GenerateRequest<Image extends ImageSize = DecodedImage> {
  prompt: string;
  negativePrompt: string;
  /** Integer in 0..2^53-1. The same seed gives diffusers' picture for torch.Generator("cpu"). */
  seed: number;
  steps: number;
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
  /** Frames of a video; 1 for pictures. */
  numFrames: number;
  /** Playback rate in frames per second. Does not affect pixels. 0 for pictures. */
  fps: number;
  /** Scale of distilled guidance (FLUX.1-dev) or of classifier-free guidance, depending on the family. */
  guidanceScale: number;
  /** Scale of classifier-free guidance of the second network. Set for models of two networks only. */
  guidanceScale2?: number;
  /** Scale of FLUX's true classifier-free guidance; 1 switches it off. */
  trueCfgScale: number;
  /**
   * How far the spread that guidance widens is scaled back to that of
   * the prompt's own output, 0..1 (arXiv 2305.08891). 0 is off.
   */
  guidanceRescale: number;
  /**
   * Longest that guidance may make the output, as a multiple of the prompt's own output. 0 is off. Set for
   * models whose guidance has limits (Z-Image's cfg_normalization).
   */
  cfgNormalization?: number;
  /**
   * Share of the noise that may be gone before guidance ends, 0..1. 1 guides every step. Set for models whose
   * guidance has limits (Z-Image's cfg_truncation).
   */
  cfgTruncation?: number;
  /** Tokens of the T5 prompt. */
  maxSequenceLength: number;
  /** Stable Diffusion 3.5's guidance away from the network without some of its blocks. @default none */
  skipLayerGuidance?: SkipLayerGuidance;
  /** The image that the run starts from (image to image). @default noise (text to image) */
  startImage?: StartImage<Image>;
  /** The ControlNet and its image. @default none */
  control?: Control<Image>;
  /** The frames that the video begins and ends with. @default the video begins from text alone */
  frames?: VideoFrames;
  /** The images that the model looks at while it draws. @default none */
  references?: readonly ReferenceImage[];
  /** A scheduler in place of the checkpoint's. @default the checkpoint's */
  scheduler?: ChosenScheduler;
  /** Whether brackets in prompts are weights, as AUTOMATIC1111 has them. @default they are text */
  promptWeights?: true;
  /** Whether prompts that are longer than CLIP reads are encoded in chunks. @default they are cut */
  longPrompts?: true;
  /**
   * Whether {red|blue} in prompts is one of both, by the seed. `withChosenPrompts` settles it.
   * @default it is text
   */
  wildcards?: true;
  sampler: ResolvedSamplerOptions;
}

type Switch = "promptWeights" | "longPrompts" | "wildcards";
type GivenOrNested =
  | "prompt"
  | "seed"
  | "sampler"
  | "skipLayerGuidance"
  | "startImage"
  | "control"
  | "frames"
  | "references"
  | "scheduler"
  | Switch;

/** A request as callers send it. `completeRequest` fills open fields with the checkpoint's defaults. */
export type PartialRequest<Image extends ImageSize = DecodedImage> =
  & Pick<GenerateRequest, "prompt" | "seed">
  & { [K in Exclude<keyof GenerateRequest, GivenOrNested>]?: GenerateRequest[K] | undefined }
  & { [K in Switch]?: boolean | undefined }
  & { scheduler?: SchedulerRequest | undefined }
  & { skipLayerGuidance?: PartialSkipLayerGuidance | undefined }
  & PartialStartImage<Image>
  & PartialControl<Image>
  & PartialFrames
  & PartialReferences
  & {
    /** `quality` lets the calibration choose the number of full passes. */
    sampler?: SamplerRequest & { quality?: Quality | undefined } | undefined;
  };
