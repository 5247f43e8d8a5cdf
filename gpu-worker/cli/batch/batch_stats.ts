// stats.json beside each picture of `batch`: the fields of the reference (hanjq17/Spectrum, src/text_to_image.py), so
// that what reads its outputs reads ours, and what else a measurement needs.
import { flattenSamplerOptions, METHOD_OPTIONS } from "../../../sampler/mod.ts";
import type { GenerateResult } from "../../pipeline/pipeline.ts";
import type { BatchRequest } from "./batch_messages.ts";

/** Everything but the prompt that decides what the picture looks like. */
export function batchSettings(
  { prompt: _, sampler, startImage, ...fields }: BatchRequest,
  { modelDigest, dtype }: { modelDigest: string; dtype: string },
): Record<string, unknown> {
  const options = flattenSamplerOptions(sampler);
  return snakeCase({
    modelDigest,
    dtype,
    ...fields,
    ...startImage && { imageSha256: startImage.sha256, strength: startImage.strength },
    method: sampler.method,
    ...Object.fromEntries(METHOD_OPTIONS[sampler.method].map((name) => [name, options[name]])),
  });
}

export interface BatchStatsOptions {
  settings: Record<string, unknown>;
  /** As the user named it. */
  model: string;
  device: string;
}

/** `time` is the reference's: seconds from prompt to picture, the encoding of the file not included. */
export function batchStats(
  { request, result }: { request: BatchRequest; result: GenerateResult },
  { settings, model, device }: BatchStatsOptions,
): Record<string, unknown> {
  const { seconds, plan, forecastErrors } = result;
  const fullPasses = plan.filter((kind) => kind === "full").length;
  return {
    time: seconds.total,
    prompt: request.prompt,
    actual_forward_count: fullPasses,
    window_size: settings["window_size"] ?? null,
    flex_window: settings["flex_window"] ?? null,
    w: settings["w"] ?? null,
    lam: settings["lam"] ?? null,
    method: request.sampler.method,
    forecast_count: plan.length - fullPasses,
    forecast_errors: Object.fromEntries(forecastErrors),
    seconds: { encode: seconds.encode, denoise: seconds.denoise, decode: seconds.decode },
    model,
    device,
    settings,
  };
}

function snakeCase(fields: Record<string, unknown>): Record<string, unknown> {
  const rename = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [rename(name), value]));
}
