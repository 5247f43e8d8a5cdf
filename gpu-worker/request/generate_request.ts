// What one run makes: a request with every field filled in, and what a caller may leave open.
import type { ResolvedSamplerOptions, SamplerRequest } from "../../sampler/mod.ts";
import type { DecodedImage } from "../media/decoded_image.ts";
import type { ImageSize, PartialStartImage, StartImage } from "./start_image.ts";
import type { PartialSkipLayerGuidance, SkipLayerGuidance } from "./skip_layer_guidance.ts";

/** One picture or video to make, every field filled in. Its image may be known by size alone until the run begins. */
export interface GenerateRequest<Image extends ImageSize = DecodedImage> {
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
  startImage?: StartImage<Image>;
  sampler: ResolvedSamplerOptions;
}

type GivenOrNested = "prompt" | "seed" | "sampler" | "skipLayerGuidance" | "startImage";

/** What a request may leave open; `completeRequest` fills it from the checkpoint's defaults. */
export type PartialRequest<Image extends ImageSize = DecodedImage> =
  & Pick<GenerateRequest, "prompt" | "seed">
  & { [K in Exclude<keyof GenerateRequest, GivenOrNested>]?: GenerateRequest[K] | undefined }
  & { skipLayerGuidance?: PartialSkipLayerGuidance | undefined }
  & PartialStartImage<Image>
  & { sampler?: SamplerRequest | undefined };
