// The receipt of a run: how its result was made.
import { flattenSamplerOptions } from "../../sampler/mod.ts";
import type { Receipt } from "../../protocol/wire/receipt.ts";
import { samplerToWire } from "../../protocol/wire/sampler_fields.ts";
import { cutWarnings } from "../model/cut_warnings.ts";
import type { GenerateResult, Pipeline } from "../pipeline/pipeline.ts";
import type { CalibrationReport } from "../pipeline/run_forecaster.ts";
import type { GenerateRequest } from "../request/generate_request.ts";
import { requestWarnings } from "../request/request_warnings.ts";
import { shortRunNote } from "../request/short_runs.ts";
import { optionSettings } from "../request/wire_settings.ts";
import { heldWeights } from "./model_card.ts";
import type { Run } from "./run.ts";

/** The result of a run's turn on the device. */
export interface Generated {
  /** With the prompts that wildcards have given. */
  request: GenerateRequest;
  /** The completed request. */
  asked: Run["completed"];
  result: GenerateResult;
  /** Size of the picture batch, this run included. */
  pictures: number;
  model: Pipeline["model"];
  description: Pipeline["description"];
}

/** Writes a run's receipt. */
export function runReceipt(
  { request, asked, result, pictures, model, description }: Generated,
  { seconds, worker, device }: Pick<Receipt, "seconds" | "worker" | "device">,
): Receipt {
  const { method, full_steps: _, ...options } = samplerToWire(flattenSamplerOptions(result.sampler));
  const warnings = [...requestWarnings(request, { ...model, description }), ...cutWarnings(result)];
  const { dropped = 0 } = result.promptCut ?? {};
  const note = shortRunNote({ method, ...request });
  const stepsOf = (kind: string) => result.plan.flatMap((step, index) => step === kind ? [index] : []);
  return {
    model: model.id,
    model_digest: model.digest,
    ...heldWeights(model),
    seed: request.seed,
    steps: request.steps,
    width: request.width,
    height: request.height,
    ...result.video && { num_frames: request.numFrames, fps: request.fps },
    method,
    options: {
      ...options,
      ...optionSettings(request),
    },
    ...asked.wildcards && { prompt: request.prompt, negative_prompt: request.negativePrompt },
    full_steps: stepsOf("full"),
    forecast_steps: stepsOf("forecast"),
    ...note !== undefined && { note },
    forecast_errors: Object.fromEntries(result.forecastErrors),
    ...result.calibration && { calibration: calibrationReceipt(result.calibration) },
    ...pictures > 1 && { batch: pictures },
    ...dropped > 0 && { dropped_tokens: dropped },
    ...warnings.length > 0 && { warnings },
    seconds,
    cache: "miss",
    worker,
    ...device !== undefined && { device },
  };
}

function calibrationReceipt(
  { digest, fallback, psnr, predictedErrors }: CalibrationReport,
): NonNullable<Receipt["calibration"]> {
  return {
    digest,
    predicted_errors: Object.fromEntries(predictedErrors),
    ...psnr !== undefined && { psnr },
    ...fallback !== undefined && { fallback },
  };
}
