// Ends a run at the first pass or forecast that returns NaN or an infinity.
import { assertFinite, type ValueSource } from "../runtime/assert_finite.ts";
import type { RunDenoiser } from "./run_denoiser.ts";

/**
 * Wraps the denoiser of one picture. Among pictures that are made together, only the broken one fails.
 * Its calls throw {@linkcode NotFiniteError}, which names `source`.
 */
export function finiteDenoiser(denoiser: RunDenoiser, source: ValueSource): RunDenoiser {
  return {
    async full(call) {
      const result = await denoiser.full(call);
      assertFinite(result.output, source);
      return result;
    },
    async forecast(calls, options) {
      const outputs = await denoiser.forecast(calls, options);
      for (const output of outputs) assertFinite(output, source);
      return outputs;
    },
    prepare: (forecasts, signal) => denoiser.prepare(forecasts, signal),
    ...denoiser.features && { features: () => denoiser.features!() },
    [Symbol.dispose]: () => denoiser[Symbol.dispose](),
  };
}
