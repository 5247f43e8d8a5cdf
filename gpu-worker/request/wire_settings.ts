// Settings between the wire's snake_case names and diffusers' names in camelCase, which the pipelines use.
import type { CompleteSettings, RunRequest } from "../../protocol/wire/run_request.ts";
import { type GivenSampler, samplerFromWire, samplerToWire } from "../../protocol/wire/sampler_fields.ts";
import { flattenSamplerOptions } from "../../sampler/mod.ts";
import type { GenerateRequest, PartialRequest } from "./generate_request.ts";
import type { ImageSize } from "../media/decoded_image.ts";
import type { Control } from "./control.ts";
import { type StartImage, wholeSize } from "./start_image.ts";

/** Returns the settings that decide the pixels of `request`, as the edge hashes them. */
export function toWire(request: GenerateRequest<ImageSize>): CompleteSettings {
  return {
    prompt: request.prompt,
    negative_prompt: request.negativePrompt,
    seed: request.seed,
    steps: request.steps,
    width: request.width,
    height: request.height,
    ...request.fps > 0 && { num_frames: request.numFrames, fps: request.fps },
    ...optionSettings(request),
    max_sequence_length: request.maxSequenceLength,
    spectrum: samplerToWire(flattenSamplerOptions(request.sampler)),
  };
}

/** Returns the settings that receipts list as options: guidance, images and the prompt's treatment. */
export function optionSettings(request: GenerateRequest<ImageSize>) {
  const { skipLayerGuidance, startImage, references, control } = request;
  return {
    guidance_scale: request.guidanceScale,
    ...request.guidanceScale2 !== undefined && { guidance_scale_2: request.guidanceScale2 },
    true_cfg_scale: request.trueCfgScale,
    guidance_rescale: request.guidanceRescale,
    ...guidanceLimits(request),
    ...skipLayerGuidance && { skip_layer_guidance: skipLayerGuidance },
    ...startImage && startSettings(startImage),
    ...pictureSize(startImage),
    ...control && controlSettings(control),
    ...references && { references: references.length },
    ...promptSettings(request),
  };
}

/** Returns the settings of a run that starts from an image. */
function startSettings(
  { strength, mask }: StartImage<ImageSize>,
): Pick<CompleteSettings, "strength" | "mask_mode" | "mask_blur" | "padding_mask_crop"> {
  const { mode, blur, paddingMaskCrop } = mask ?? {};
  return {
    strength,
    ...mode !== undefined && { mask_mode: mode },
    ...blur !== undefined && { mask_blur: blur },
    ...paddingMaskCrop !== undefined && { padding_mask_crop: paddingMaskCrop },
  };
}

/** Returns the size of the finished picture, where a part of it is drawn alone. */
function pictureSize(
  startImage: StartImage<ImageSize> | undefined,
): Pick<CompleteSettings, "picture_size"> {
  const size = startImage && wholeSize(startImage);
  return size ? { picture_size: `${size.width}x${size.height}` } : {};
}

/** Returns the settings of a run with a control image. */
function controlSettings(
  { name, scale, start, end, mode }: Omit<Control, "image">,
): Pick<
  CompleteSettings,
  "controlnet" | "control_scale" | "control_start" | "control_end" | "control_mode"
> {
  return {
    controlnet: name,
    control_scale: scale,
    control_start: start,
    control_end: end,
    ...mode !== undefined && { control_mode: mode },
  };
}

/** Returns how prompts are read and which scheduler runs, where a request says so. */
function promptSettings(
  { scheduler, promptWeights, longPrompts, wildcards }: Pick<
    GenerateRequest,
    "scheduler" | "promptWeights" | "longPrompts" | "wildcards"
  >,
): Pick<
  CompleteSettings,
  "scheduler" | "scheduler_options" | "prompt_weights" | "long_prompts" | "wildcards"
> {
  const options = scheduler?.options as CompleteSettings["scheduler_options"];
  return {
    ...scheduler && { scheduler: scheduler.name },
    ...options && Object.keys(options).length > 0 && { scheduler_options: options },
    ...promptWeights && { prompt_weights: true },
    ...longPrompts && { long_prompts: true },
    ...wildcards && { wildcards: true },
  };
}

/** Returns the limits of a request's guidance, for models that have them. */
function guidanceLimits(
  { cfgNormalization, cfgTruncation }: Pick<GenerateRequest, "cfgNormalization" | "cfgTruncation">,
): Pick<CompleteSettings, "cfg_normalization" | "cfg_truncation"> {
  return {
    ...cfgNormalization !== undefined && { cfg_normalization: cfgNormalization },
    ...cfgTruncation !== undefined && { cfg_truncation: cfgTruncation },
  };
}

/** The fields of a request that hold files. */
export type FileField = "image" | "mask" | "references";

/** Fields of a run, or of settings in full. */
type WireFields =
  & Pick<RunRequest, "prompt" | "seed">
  & Partial<Omit<RunRequest, "prompt" | "seed" | "spectrum" | "skip_layer_guidance" | FileField>>
  & { spectrum?: GivenSampler | undefined; skip_layer_guidance?: PartialRequest["skipLayerGuidance"] };

/** Returns a request without its files. */
export function fromWire(fields: WireFields): Omit<PartialRequest, FileField> {
  const { spectrum, scheduler: name, scheduler_options: options } = fields;
  return {
    prompt: fields.prompt,
    negativePrompt: fields.negative_prompt,
    seed: fields.seed,
    steps: fields.steps,
    width: fields.width,
    height: fields.height,
    numFrames: fields.num_frames,
    fps: fields.fps,
    guidanceScale: fields.guidance_scale,
    guidanceScale2: fields.guidance_scale_2,
    trueCfgScale: fields.true_cfg_scale,
    guidanceRescale: fields.guidance_rescale,
    cfgNormalization: fields.cfg_normalization,
    cfgTruncation: fields.cfg_truncation,
    skipLayerGuidance: fields.skip_layer_guidance,
    strength: fields.strength,
    maskMode: fields.mask_mode,
    maskBlur: fields.mask_blur,
    paddingMaskCrop: fields.padding_mask_crop,
    controlNet: fields.controlnet,
    controlScale: fields.control_scale,
    controlStart: fields.control_start,
    controlEnd: fields.control_end,
    controlMode: fields.control_mode,
    maxSequenceLength: fields.max_sequence_length,
    ...(name ?? options) !== undefined && { scheduler: { name, options } },
    promptWeights: fields.prompt_weights,
    longPrompts: fields.long_prompts,
    wildcards: fields.wildcards,
    sampler: spectrum && samplerFromWire(spectrum),
  };
}
