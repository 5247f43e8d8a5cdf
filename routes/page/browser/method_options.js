// What the page says of each method, and the defaults that its empty option fields stand for (sampler/sampler_options.ts).

/** @import { Method, SpectrumOptions } from "./wire.d.ts" */

/** @typedef {Required<Omit<SpectrumOptions, "method">>} MethodDefaults */

/** @type {MethodDefaults} */
const SPECTRUM = { w: 0.5, m: 4, lam: 0.1, window_size: 2, flex_window: 0.75, warmup_steps: 5, order: 1 };
const TAYLORSEER = { ...SPECTRUM, window_size: 4, flex_window: 0, warmup_steps: 3 };

/** @type {Readonly<Record<Method, { label: string, note: string, defaults: MethodDefaults }>>} */
export const METHOD_OPTIONS = {
  none: { label: "None", note: "Every step runs the whole network.", defaults: SPECTRUM },
  spectrum: {
    label: "Spectrum",
    note: "Fits Chebyshev polynomials to the full passes and forecasts the steps between them.",
    defaults: SPECTRUM,
  },
  taylorseer: {
    label: "TaylorSeer",
    note: "Extrapolates the last full passes by finite differences.",
    defaults: TAYLORSEER,
  },
  reuse: { label: "Reuse", note: "Repeats the last full pass until the next one.", defaults: TAYLORSEER },
};
