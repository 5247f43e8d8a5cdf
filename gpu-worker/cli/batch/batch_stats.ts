// Builds stats.json, which lies beside each picture of `batch`. It has the
// reference's fields (hanjq17/Spectrum, src/text_to_image.py), so that the same
// tools read both, and the other fields that a measurement needs.
import { flattenSamplerOptions, METHOD_OPTIONS } from "../../../sampler/mod.ts";
import type { GenerateResult } from "../../pipeline/pipeline.ts";
import type { BatchRequest, NamedControl, NamedFrames, NamedStartImage } from "./batch_messages.ts";

/** Returns every setting, except the prompt, that affects the picture. */
export function batchSettings(
  { prompt: _, sampler, startImage, references, control, frames, ...fields }: BatchRequest,
  { modelDigest, dtype }: { modelDigest: string; dtype: string },
): Record<string, unknown> {
  const options = flattenSamplerOptions(sampler);
  return snakeCase({
    modelDigest,
    dtype,
    ...fields,
    ...startImage && startSettings(startImage),
    ...control && controlSettings(control),
    ...frames && frameSettings(frames),
    ...references && { referencesSha256: references.map(({ sha256 }) => sha256) },
    method: sampler.method,
    ...Object.fromEntries(METHOD_OPTIONS[sampler.method].map((name) => [name, options[name]])),
  });
}

function frameSettings({ first, last }: NamedFrames): Record<string, unknown> {
  return { imageSha256: first.sha256, ...last && { lastFrameSha256: last.sha256 } };
}

function startSettings({ sha256, strength, mask }: NamedStartImage): Record<string, unknown> {
  if (mask === undefined) return { imageSha256: sha256, strength };
  const { path: _, sha256: maskSha256, mode: maskMode, blur: maskBlur, ...masking } = mask;
  return {
    imageSha256: sha256,
    strength,
    maskSha256,
    maskMode,
    ...maskBlur !== undefined && { maskBlur },
    ...masking,
  };
}

function controlSettings({ name, sha256, scale, start, end, mode }: NamedControl): Record<string, unknown> {
  return {
    controlnet: name,
    controlImageSha256: sha256,
    controlScale: scale,
    controlStart: start,
    controlEnd: end,
    ...mode !== undefined && { controlMode: mode },
  };
}

export interface BatchStatsOptions {
  settings: Record<string, unknown>;
  /** The model as the user named it. */
  model: string;
  device: string;
  /** Sentences about likely faults of the picture. */
  warnings: readonly string[];
}

/**
 * Returns the content of stats.json. `time` is defined as in the reference:
 * seconds from prompt to picture, without encoding the file.
 */
export function batchStats(
  { request, result }: { request: BatchRequest; result: GenerateResult },
  { settings, model, device, warnings }: BatchStatsOptions,
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
    ...warnings.length > 0 && { warnings },
    settings,
  };
}

function snakeCase(fields: Record<string, unknown>): Record<string, unknown> {
  const rename = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [rename(name), value]));
}
