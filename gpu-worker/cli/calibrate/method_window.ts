// The windows of the methods that Spectrum's and TaylorSeer's papers describe, for any number of passes.
import { type OptionsOf, SAMPLER_DEFAULTS, type SamplerOptions } from "../../../sampler/mod.ts";
import { EVEN_WINDOWS, GROWING_WINDOWS, windowFor } from "./window_for.ts";

/** A method's options with a window. */
export type WindowedSampler = Partial<SamplerOptions> & OptionsOf<"window">;

const SPECTRUM_WINDOWS = [{ windowSize: 2, flexWindow: 0.75 }, { windowSize: 2, flexWindow: 3 }];
const TAYLORSEER_WINDOWS = [4, 6, 5, 9].map((windowSize) => ({ windowSize, flexWindow: 0 }));

/**
 * Returns the published window, or the one nearest to it, that gives this number of full passes, or
 * undefined if none does.
 */
export function methodWindow(
  sampler: Partial<SamplerOptions> & { method: "reuse" | "taylorseer" | "spectrum" },
  { passes, steps }: { passes: number; steps: number },
): WindowedSampler | undefined {
  const grows = sampler.method === "spectrum";
  const { warmupSteps, tailSteps } = SAMPLER_DEFAULTS[sampler.method];
  try {
    const window = windowFor(passes, {
      steps,
      base: { warmupSteps, tailSteps },
      published: grows ? SPECTRUM_WINDOWS : TAYLORSEER_WINDOWS,
      others: grows ? GROWING_WINDOWS : EVEN_WINDOWS,
    });
    return { ...sampler, warmupSteps, tailSteps, ...window };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
