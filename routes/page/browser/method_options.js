// What the page says of each method, the options it has, and the defaults that empty fields stand for
// (sampler/sampler_options.ts; a test holds the two together).

/** @import { Method, Receipt, SpectrumOptions } from "./wire.d.ts" */

/** @typedef {Required<Omit<SpectrumOptions, "method" | "full_steps">>} MethodDefaults */
/** @typedef {{ label: string, note: string, options: (keyof MethodDefaults)[], defaults: MethodDefaults }} MethodEntry */

/** @type {MethodDefaults} */
const SPECTRUM = {
  w: 0.5,
  m: 4,
  lam: 0.1,
  constant_penalty: 1,
  lam_growth: 0,
  window_size: 2,
  flex_window: 0.75,
  warmup_steps: 5,
  tail_steps: 0,
  error_budget: 0,
  passes: 0,
  order: 1,
};
const TAYLORSEER = { ...SPECTRUM, window_size: 4, flex_window: 0, warmup_steps: 3 };

/** @type {(keyof MethodDefaults)[]} */
const SCHEDULE = ["window_size", "flex_window", "warmup_steps", "tail_steps", "error_budget"];

/** @type {Readonly<Record<Method, MethodEntry>>} */
export const METHOD_OPTIONS = {
  none: { label: "None", note: "Every step runs the whole network.", options: [], defaults: SPECTRUM },
  spectrum: {
    label: "Spectrum",
    note: "Fits Chebyshev polynomials to the full passes and forecasts the steps between them.",
    options: [...SCHEDULE, "w", "m", "lam"],
    defaults: SPECTRUM,
  },
  taylorseer: {
    label: "TaylorSeer",
    note: "Extrapolates the last full passes by finite differences.",
    options: [...SCHEDULE, "order"],
    defaults: TAYLORSEER,
  },
  reuse: {
    label: "Reuse",
    note: "Repeats the last full pass until the next one.",
    options: SCHEDULE,
    defaults: TAYLORSEER,
  },
};
