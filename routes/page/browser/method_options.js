// The sampler's methods as the page shows them, by the options' names on the wire.
import { METHOD_OPTIONS as READ, METHODS, OPTIONS, SAMPLER_DEFAULTS } from "./sampler_table.js";

/** @import { Method, SpectrumOptions } from "./wire.d.ts" */

/** @typedef {Required<Omit<SpectrumOptions, "method" | "full_steps" | "quality">>} MethodDefaults */
/**
 * @typedef {{ label: string, note: string, options: (keyof MethodDefaults)[], defaults:
 * MethodDefaults }} MethodEntry
 */

/** The options that have a field. */
export const FIELDS = OPTIONS.filter(({ label }) => label !== undefined);

/** The options that replace a model's own plan. */
export const WINDOW = OPTIONS.filter(({ decides }) => decides === "window" || decides === "errorBudget")
  .map(({ wire }) => wire);

const METHOD_NAMES = /** @type {Method[]} */ (Object.keys(METHODS));

/** Describes each method: its name and note, the options with a field that it reads, and all defaults. */
export const METHOD_OPTIONS = /** @type {Readonly<Record<Method, MethodEntry>>} */ (Object.fromEntries(
  METHOD_NAMES.map((method) => [method, {
    label: METHODS[method].label,
    note: METHODS[method].note,
    options: FIELDS.filter(({ name }) => READ[method].includes(name)).map(({ wire }) => wire),
    defaults: Object.fromEntries(OPTIONS.map(({ name, wire }) => [wire, SAMPLER_DEFAULTS[method][name]])),
  }]),
));
