// The card of a model in GET /models. All of it comes from the checkpoint's configs.
import type { StartImageRules } from "../request/start_image.ts";
import { servingSchedulers } from "../request/complete_scheduler.ts";
import { completeRequest } from "../request/complete_request.ts";
import { nativeSizes } from "../request/native_sizes.ts";
import type { VideoRules } from "../request/request_rules.ts";
import { requestLimits } from "../request/request_limits.ts";
import type { ModelCard } from "../../protocol/wire/model_card.ts";
import type { ModelInfo } from "../pipeline/pipeline.ts";
import type { ModelSource } from "./model_pool.ts";
import type { MeasuredPlan, MeasuredPlans } from "../../sampler/mod.ts";
import { toWire } from "../request/wire_settings.ts";

/** Returns the field `weights` of cards and receipts. */
export function heldWeights({ weights }: Pick<ModelInfo, "weights">): Pick<ModelCard, "weights"> {
  return weights === "as-stored" ? {} : { weights };
}

/** Returns the part of a model's card that does not change while the model is served. */
export function modelCard(
  { info: { id, pipelineClass, title, digest, weights, names }, description }: Pick<
    ModelSource,
    "info" | "description"
  >,
  samplerVersion: string,
): Omit<ModelCard, "loaded"> {
  const completed = toWire(completeRequest({ prompt: " ", seed: 0 }, description));
  const { prompt: _prompt, seed: _seed, ...defaults } = completed;
  const { sizeMultiple, maxSide, maxPixels, maxSequenceLength } = requestLimits(description);
  const sizes = nativeSizes(description);
  const { calibration, rules: { video, startImage, references, controlNets } } = description;
  return {
    id,
    pipeline_class: pipelineClass,
    ...title !== undefined && { title },
    digest,
    ...heldWeights({ weights }),
    sampler_version: samplerVersion,
    ...names && { names },
    defaults,
    ...calibration && {
      calibration: {
        steps: calibration.source.steps,
        psnr: mapPlans(calibration.plans, ({ psnr }) => psnr),
        full_steps: mapPlans(calibration.plans, ({ fullSteps }) => fullSteps),
      },
    },
    limits: {
      size_multiple: sizeMultiple,
      max_side: maxSide,
      max_pixels: maxPixels,
      max_sequence_length: maxSequenceLength,
    },
    guidance: description.rules.guidance,
    ...description.scheduler && { schedulers: servingSchedulers(description.scheduler) },
    ...description.rules.clipPrompts && { prompt_weights: true },
    sizes: {
      native: `${sizes.width}x${sizes.height}`,
      smallest_side: sizes.smallestSide,
      largest_side: sizes.largestSide,
      largest_pixels: sizes.largestPixels,
      multiple: sizeMultiple,
    },
    ...startImage && { start_image: startImageCard(startImage) },
    ...controlNets && { controlnets: controlNets },
    ...references && { references: { min: references.min ?? 0, max: references.max } },
    ...video && { video: videoCard(video) },
  };
}

/** Number of steps -> number of full passes -> what `read` says of their plan. */
function mapPlans<T>(
  plans: MeasuredPlans,
  read: (plan: MeasuredPlan) => T,
): Record<string, Record<string, T>> {
  return Object.fromEntries(
    Object.entries(plans).map(([steps, ofSteps]) => [
      steps,
      Object.fromEntries(Object.entries(ofSteps).map(([passes, plan]) => [passes, read(plan)])),
    ]),
  );
}

function videoCard({ frameStep, minFrames, maxFrames, frames }: VideoRules): NonNullable<ModelCard["video"]> {
  const { first, last = "none" } = frames ?? {};
  return {
    frame_step: frameStep,
    ...minFrames !== undefined && { min_frames: minFrames },
    max_frames: maxFrames,
    ...first && { first_frame: first },
    ...last !== "none" && { last_frame: last },
  };
}

function startImageCard({ strength, maskStrength, partialStep }: StartImageRules) {
  return { strength, mask_strength: maskStrength ?? strength, partial_step: partialStep };
}
