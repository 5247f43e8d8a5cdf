// What the page says of each method, the options it has, and the defaults that empty fields stand for
// (sampler/sampler_options.ts; a test holds the two together).

/** @import { Method, Receipt, SpectrumOptions } from "./wire.d.ts" */

/** @typedef {Required<Omit<SpectrumOptions, "method">>} MethodDefaults */
/** @typedef {{ label: string, note: string, options: (keyof MethodDefaults)[], defaults: MethodDefaults }} MethodEntry */

/** @type {MethodDefaults} */
const SPECTRUM = { w: 0.5, m: 4, lam: 0.1, window_size: 2, flex_window: 0.75, warmup_steps: 5, order: 1 };
const TAYLORSEER = { ...SPECTRUM, window_size: 4, flex_window: 0, warmup_steps: 3 };

/** @type {Readonly<Record<Method, MethodEntry>>} */
export const METHOD_OPTIONS = {
  none: { label: "None", note: "Every step runs the whole network.", options: [], defaults: SPECTRUM },
  spectrum: {
    label: "Spectrum",
    note: "Fits Chebyshev polynomials to the full passes and forecasts the steps between them.",
    options: ["window_size", "flex_window", "warmup_steps", "w", "m", "lam"],
    defaults: SPECTRUM,
  },
  taylorseer: {
    label: "TaylorSeer",
    note: "Extrapolates the last full passes by finite differences.",
    options: ["window_size", "flex_window", "warmup_steps", "order"],
    defaults: TAYLORSEER,
  },
  reuse: {
    label: "Reuse",
    note: "Repeats the last full pass until the next one.",
    options: ["window_size", "flex_window", "warmup_steps"],
    defaults: TAYLORSEER,
  },
};
