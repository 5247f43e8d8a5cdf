// A picture's settings in the text form that AUTOMATIC1111's web UI writes into files,
// which many programs read.
import type { CompleteSettings } from "./run_request.ts";

export interface InfotextOptions {
  model: string;
  modelDigest: string;
  settings: CompleteSettings;
}

/** Digits of a digest that name a model there. */
const HASH_DIGITS = 10;

export function infotext({ model, modelDigest, settings }: InfotextOptions): string {
  const { prompt, negative_prompt: negative, spectrum } = settings;
  const { method, full_steps: _, ...options } = spectrum;
  const isForecast = method !== "none";
  const fields: Record<string, string | number | undefined> = {
    Steps: settings.steps,
    Sampler: settings.scheduler,
    "Sampler options": settings.scheduler_options && quoted(
      Object.entries(settings.scheduler_options).map(([name, value]) => `${name}: ${value}`).join(", "),
    ),
    "CFG scale": settings.true_cfg_scale > 1 ? settings.true_cfg_scale : settings.guidance_scale,
    Seed: settings.seed,
    Size: `${settings.width}x${settings.height}`,
    Frames: settings.num_frames,
    FPS: settings.fps,
    "Model hash": modelDigest.slice(0, HASH_DIGITS),
    Model: quoted(model),
    "Denoising strength": settings.strength,
    "Spectrum method": method,
    "Spectrum options": isForecast
      ? quoted(Object.entries(options).map(([name, value]) => `${name}: ${value}`).join(", "))
      : undefined,
    Version: "Spectrum Edge",
  };
  const line = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}`]
  );
  return [prompt, ...negative === "" ? [] : [`Negative prompt: ${negative}`], line.join(", ")].join("\n");
}

/** A value with a comma or a colon stands in quotes. */
function quoted(text: string): string {
  return /[,:\n]/.test(text) ? JSON.stringify(text) : text;
}
