// The sampler's options and methods as plain data, for command lines, wire schemas and pages.

export { describeOption } from "./describe_option.ts";
export { type Method, METHOD_NAMES, type MethodRow, METHODS } from "./methods.ts";
export {
  mapOptions,
  type Option,
  OPTION_TABLE,
  type OptionNames,
  type OptionRow,
  OPTIONS,
  type OptionsOf,
} from "./option_table.ts";
export { type Quality, QUALITY_LEVELS, QUALITY_NAMES } from "./quality.ts";
export {
  METHOD_OPTIONS,
  SAMPLER_DEFAULTS,
  type SamplerOptions,
  type SamplerRequest,
} from "./sampler_options.ts";
