// Few-step models (Turbo, schnell, lightning LoRAs) need each of their steps, so a short run forecasts only
// if its request or its checkpoint says how.
import type { Method } from "../../sampler/mod.ts";

/** Fewest steps of a run that forecasts by default. */
export const FORECAST_STEPS = 9;

/**
 * Returns a line for receipts and reports that says why a short run has no forecasts.
 * @returns undefined for a run that forecasts, or that is long enough to
 */
export function shortRunNote({ method, steps }: { method: Method; steps: number }): string | undefined {
  if (method !== "none" || steps >= FORECAST_STEPS) return undefined;
  return `forecasts are off by default below ${FORECAST_STEPS} steps`;
}
