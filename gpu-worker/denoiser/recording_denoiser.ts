// Hands each full pass's feature to the host. The history has one slot, so a recorded run needs no more
// memory than a plain one.
import type { RunDenoiser } from "./run_denoiser.ts";

/**
 * Wraps a denoiser with one slot of history.
 * @param onFeature receives the index of each step and its feature, [branches,
 * ...feature], valid until it returns
 * @throws {TypeError} if the denoiser keeps more than one history.
 */
export function recordingDenoiser(
  denoiser: RunDenoiser,
  onFeature: (step: number, feature: Float32Array) => void,
): RunDenoiser {
  if (denoiser.features === undefined) {
    denoiser[Symbol.dispose]();
    throw new TypeError("Cannot record features as skip-layer guidance keeps two histories");
  }
  return {
    async full(call) {
      const result = await denoiser.full({ ...call, slot: 0 });
      onFeature(call.step, await denoiser.features!());
      return result;
    },
    forecast: (calls, options) => denoiser.forecast(calls, options),
    prepare: (forecasts, signal) => denoiser.prepare(forecasts, signal),
    [Symbol.dispose]: () => denoiser[Symbol.dispose](),
  };
}
