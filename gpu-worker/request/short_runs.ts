// Few-step models (Turbo, schnell, lightning LoRAs) need each of their steps, and no record says how well
// forecasts do with images to look at. Such runs forecast only if their request or their checkpoint says
// how.
import type { Method } from "../../sampler/mod.ts";

/** Fewest steps of a run that forecasts by default. */
export const FORECAST_STEPS = 9;

/**
 * Returns a line for receipts and reports that says why a short run, or one with references, has no
 * forecasts.
 * @returns undefined for a run that forecasts, or that would by default
 */
export function shortRunNote(
  { method, steps, references }: { method: Method; steps: number; references?: readonly unknown[] },
): string | undefined {
  if (method !== "none") return undefined;
  if (references !== undefined) return "forecasts are off by default with images to look at";
  if (steps >= FORECAST_STEPS) return undefined;
  return `forecasts are off by default below ${FORECAST_STEPS} steps`;
}
