// The sampler's methods and options, for type checks and tests. Browsers get the same exports as plain data,
// which routes/page/assets.ts makes of them.
export {
  METHOD_OPTIONS,
  METHODS,
  OPTIONS,
  QUALITY_LEVELS,
  SAMPLER_DEFAULTS,
} from "../../../sampler/options/mod.ts";
