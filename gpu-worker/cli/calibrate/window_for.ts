// The window that gives a number of full passes: as published where that gives so many; else the one whose
// last pass is latest, since forecasts at the end cost most, among those whose longest gap is at most a fifth
// above the shortest possible.
import { type OptionsOf, planSteps } from "../../../sampler/mod.ts";

export type Window = Pick<OptionsOf<"window">, "windowSize" | "flexWindow">;

export interface WindowForOptions {
  steps: number;
  /** Warm-up and tail. */
  base: Pick<OptionsOf<"window">, "warmupSteps" | "tailSteps">;
  /** In order of preference. */
  published: readonly Window[];
  /** Tried where none of these gives the passes. */
  others: readonly Window[];
}

/**
 * Returns the window that gives this number of full passes.
 * @throws {RangeError} if no window gives that many.
 */
export function windowFor(passes: number, { steps, base, published, others }: WindowForOptions): Window {
  const fullSteps = (window: Window) => {
    const plan = planSteps(steps, { fullPasses: { by: "window", ...base, ...window } });
    return [...plan.keys()].filter((step) => plan[step] === "full");
  };
  const fits = (window: Window) => fullSteps(window).length === passes;
  const preferred = published.find(fits);
  if (preferred !== undefined) return preferred;
  const fitting = others.filter(fits).map((window) => {
    const ends = [...fullSteps(window), steps];
    return { window, last: ends.at(-2)!, gap: Math.max(...ends.slice(1).map((step, i) => step - ends[i]!)) };
  });
  const limit = 1.2 * Math.min(...fitting.map(({ gap }) => gap));
  const [best] = fitting.filter(({ gap }) => gap <= limit).sort((a, b) => b.last - a.last || a.gap - b.gap);
  if (best !== undefined) return best.window;
  throw new RangeError(`Cannot plan ${passes} of ${steps} passes as no window gives so many`);
}

/** Windows that stay as they are, then such as grow slowly: TaylorSeer's and reuse's. */
export const EVEN_WINDOWS: readonly Window[] = windows({
  sizes: range(1, 12, 1),
  growths: range(0, 0.5, 0.05),
});
/** Windows that grow from 2: Spectrum's. */
export const GROWING_WINDOWS: readonly Window[] = windows({ sizes: [2], growths: range(0, 45, 0.05) });

function windows({ sizes, growths }: { sizes: number[]; growths: number[] }): Window[] {
  return growths.flatMap((flexWindow) => sizes.map((windowSize) => ({ windowSize, flexWindow })));
}

function range(from: number, to: number, by: number): number[] {
  const count = Math.round((to - from) / by) + 1;
  return Array.from({ length: count }, (_, i) => Number((from + i * by).toFixed(2)));
}
