// Fills a request with defaults and has every field checked.
import type { DecodedImage } from "../media/decoded_image.ts";
import { badField as bad } from "./bad_field.ts";
import { withoutUndefined } from "../../protocol/wire/without_undefined.ts";
import { checkFields, type PlainFields } from "./check_fields.ts";
import { completeScheduler } from "./complete_scheduler.ts";
import { completeControl } from "./control.ts";
import { completeSampler } from "./complete_sampler.ts";
import type { GenerateRequest, PartialRequest } from "./generate_request.ts";
import type { ModelDescription } from "./model_description.ts";
import { requestLimits } from "./request_limits.ts";
import { completeReferences } from "./references.ts";
import type { RequestRules } from "./request_rules.ts";
import { completeSkipLayerGuidance } from "./skip_layer_guidance.ts";
import type { ImageSize } from "../media/decoded_image.ts";
import { completeStartImage, partSize } from "./start_image.ts";
import { completeFrames, videoSizeOf } from "./video_frames.ts";

const MAX_PROMPT_CHARACTERS = 32_000;

/**
 * Returns `partial` with the model's defaults filled in and every field checked.
 * @throws {OptionError} naming the field, the rule and the value.
 */
export function completeRequest<Image extends ImageSize = DecodedImage>(
  partial: PartialRequest<Image>,
  model: ModelDescription,
): GenerateRequest<Image> {
  const { rules, calibration, defaults: { sampler: own } } = model;
  const parts = splitRequest(partial);
  const { start, skip } = parts;
  const { image, mask, strength } = start;
  const references = completeReferences(parts.looking, { rules: rules.references, image, mask, strength });
  const frames = completeFrames(parts.frames, {
    rules: rules.video?.frames,
    isVideo: rules.video !== undefined,
    sizeMultiple: rules.sizeMultiple,
  });
  const switches = completeSwitches(parts.switches, rules);
  const fields = completeFields(parts, { model, references, frames });
  checkFields(fields, { model, given: partial.guidanceScale });
  if (frames?.last && fields.numFrames === 1) {
    throw bad("lastFrame", (quote) => `takes ${quote("numFrames")} > 1, as a single frame is the first one`);
  }
  const { width, height, steps, guidanceScale } = fields;
  const scheduler = parts.scheduler &&
    completeScheduler(parts.scheduler, { own: model.scheduler ?? {}, steps });
  const startImage = completeStartImage(start, {
    width,
    height,
    steps,
    rules: rules.startImage,
    lacks: rules.lacksForImages,
  });
  const crops = start.paddingMaskCrop !== undefined;
  const control = completeControl(parts.control, { width, height, nets: rules.controlNets, crops });
  if (startImage && skip) {
    throw bad("skipLayerGuidance", "does not go together with an image");
  }
  const sampler = completeSampler(withoutUndefined(parts.sampler), {
    own,
    calibration,
    steps,
    skipped: startImage?.firstStep ?? 0,
    references: references !== undefined,
  });
  if (skip) checkFixedPlan(sampler);
  const { skippableLayers = 0 } = rules;
  return {
    ...fields,
    ...switches,
    ...scheduler && { scheduler },
    ...skip && { skipLayerGuidance: completeSkipLayerGuidance(skip, { skippableLayers, guidanceScale }) },
    ...startImage && { startImage },
    ...control && { control },
    ...frames && { frames },
    ...references && { references },
    sampler,
  };
}

/** Splits a request into the parts that are completed on their own, and the plain fields (`given`). */
function splitRequest<Image extends ImageSize>(partial: PartialRequest<Image>) {
  const { sampler = {}, scheduler, skipLayerGuidance: skip, references, ...withImages } = partial;
  const { image, strength, mask, maskMode, maskBlur, paddingMaskCrop, ...withControl } = withImages;
  const { controlNet, controlImage, controlScale, controlStart, controlEnd, controlMode, ...rest } =
    withControl;
  const { firstFrame, lastFrame, promptWeights, longPrompts, wildcards, ...given } = rest;
  return {
    sampler,
    scheduler,
    skip,
    looking: { references },
    start: { image, strength, mask, maskMode, maskBlur, paddingMaskCrop },
    control: { controlNet, controlImage, controlScale, controlStart, controlEnd, controlMode },
    frames: { firstFrame, lastFrame },
    switches: { promptWeights, longPrompts, wildcards },
    given,
  };
}

type Parts = ReturnType<typeof splitRequest<ImageSize>>;

/**
 * Returns the plain fields. The request's own values come first, then the sizes of its images, then the
 * model's defaults.
 */
function completeFields(
  { given, start, control }: Pick<Parts, "given" | "start" | "control">,
  { model, references, frames }: {
    model: ModelDescription;
    references: GenerateRequest["references"];
    frames: GenerateRequest["frames"];
  },
): PlainFields {
  const { defaults, rules } = model;
  const { sampler: _sampler, maxPixels: _maxPixels, sizes: _sizes, ...preset } = defaults;
  const { sizeMultiple, maxSide } = requestLimits(model);
  const { image, paddingMaskCrop } = start;
  const sized = image && paddingMaskCrop !== undefined
    ? partSize(image, sizeMultiple)
    : image ?? control.controlImage;
  const secondScale = completeSecondScale(given, model);
  const { guidanceScale2: _guidanceScale2, ...fields } = {
    negativePrompt: "",
    guidanceRescale: 0,
    ...rules.guidanceLimits && { cfgNormalization: 0, cfgTruncation: 1 },
    numFrames: 1,
    fps: 0,
    ...preset,
    ...sized && { width: sized.width, height: sized.height },
    ...references && rules.references?.pictureSize(references[0]!),
    ...frames && videoSizeOf(frames.first, { ...defaults, sizeMultiple, maxSide }, given),
    ...withoutUndefined(given),
  } as PlainFields;
  return {
    ...fields,
    prompt: wellFormed("prompt", fields.prompt),
    negativePrompt: wellFormed("negativePrompt", fields.negativePrompt),
    ...secondScale !== undefined && { guidanceScale2: secondScale },
  };
}

/** The network with skipped blocks keeps a shorter history, whose size needs a fixed step plan. */
function checkFixedPlan({ fullPasses }: GenerateRequest["sampler"]): void {
  if (fullPasses.by !== "errorBudget") return;
  throw bad(
    "errorBudget",
    (quote) => `must be 0 under ${quote("skipLayerGuidance")}: current value is ${fullPasses.errorBudget}`,
  );
}

type Switches = Pick<PartialRequest, "promptWeights" | "longPrompts" | "wildcards">;

/** Returns the switches that are on. */
function completeSwitches(
  { wildcards, ...clip }: Switches,
  { clipPrompts = false }: RequestRules,
): Pick<GenerateRequest, keyof Switches> {
  for (const [name, isOn] of Object.entries(clip)) {
    if (isOn && !clipPrompts) {
      throw bad(name, "must be left out with this model. Stable Diffusion 1.x and 2.x and SDXL have it");
    }
  }
  return {
    ...clip.promptWeights && { promptWeights: true },
    ...clip.longPrompts && { longPrompts: true },
    ...wildcards && { wildcards: true },
  };
}

/**
 * Returns the scale of the second network. Like diffusers it is that of the first if
 * only the latter is given.
 */
function completeSecondScale(
  { guidanceScale, guidanceScale2 }: Pick<PartialRequest, "guidanceScale" | "guidanceScale2">,
  { rules, defaults }: ModelDescription,
): number | undefined {
  if (rules.guidanceScale2 === true) {
    return guidanceScale2 ?? guidanceScale ?? defaults.guidanceScale2 ?? defaults.guidanceScale;
  }
  if (guidanceScale2 === undefined) return undefined;
  throw bad(
    "guidanceScale2",
    `must be absent with this model, which has one network, but is ${guidanceScale2}`,
  );
}

/**
 * Returns a prompt without lone surrogates. The CLI and the edge normalise their prompts; here a decomposed
 * letter stays decomposed, as in diffusers.
 */
function wellFormed(name: string, value: unknown): string {
  if (typeof value !== "string") {
    throw bad(name, `must be text: current value is ${value}`);
  }
  if (value.length > MAX_PROMPT_CHARACTERS) {
    throw bad(name, `must have at most ${MAX_PROMPT_CHARACTERS} characters: it has ${value.length}`);
  }
  return value.toWellFormed();
}
