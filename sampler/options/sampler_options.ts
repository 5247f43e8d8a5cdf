// The options of a request: one flat record. A method ignores options that it does not read.

import { type Method, METHOD_NAMES, METHODS } from "./methods.ts";
import { mapOptions, type OptionNames, type OptionRow, OPTIONS, type OptionsOf } from "./option_table.ts";

/** Every option, as on the wire and in flags. */
export interface SamplerOptions extends OptionsOf<OptionRow["decides"]> {
  /** Which forecaster runs. */
  method: Method;
  /** Indices of the full passes, ascending from 0. They replace the window. */
  fullSteps?: readonly number[];
}

/** Options that a request gives. Undefined means the default. */
export type SamplerRequest = { [K in keyof SamplerOptions]?: SamplerOptions[K] | undefined };

/** Defaults of each method. */
export const SAMPLER_DEFAULTS: Readonly<Record<Method, Readonly<SamplerOptions>>> = byMethod((method) => ({
  method,
  ...mapOptions("name", (option) => option.default),
  ...METHODS[method].defaults,
}));

/** Names of the options that change the outcome of each method. */
export const METHOD_OPTIONS: Readonly<Record<Method, readonly OptionNames["name"][]>> = byMethod((method) =>
  OPTIONS.filter(({ methods }) => method !== "none" && (methods?.includes(method) ?? true))
    .map(({ name }) => name)
);

function byMethod<T>(valueOf: (method: Method) => T): Record<Method, T> {
  return Object.fromEntries(METHOD_NAMES.map((method) => [method, valueOf(method)])) as Record<Method, T>;
}
