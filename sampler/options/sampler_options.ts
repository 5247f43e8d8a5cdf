// The options as a request gives them: one flat record, in which a method ignores what is not its own.

import { type Method, METHOD_NAMES, METHODS } from "./methods.ts";
import { mapOptions, type OptionNames, type OptionRow, OPTIONS, type OptionsOf } from "./option_table.ts";

/** Every option, as on the wire and in flags. */
export interface SamplerOptions extends OptionsOf<OptionRow["decides"]> {
  /** Which forecaster runs. */
  method: Method;
  /** The steps that are full, ascending from 0; the window has no effect then. */
  fullSteps?: readonly number[];
}

/** Options that a request gives; undefined stands for the default. */
export type SamplerRequest = { [K in keyof SamplerOptions]?: SamplerOptions[K] | undefined };

/** What each method uses for options that are not given. */
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
