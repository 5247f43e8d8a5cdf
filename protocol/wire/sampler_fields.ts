// The sampler's options on the wire, derived from the table in sampler/options: schemas of what a request may
// give and of what a run had, and the way from one spelling to the other.
import { z } from "zod";
import {
  describeOption,
  mapOptions,
  METHOD_NAMES,
  type OptionRow,
  type Quality,
  QUALITY_LEVELS,
  QUALITY_NAMES,
  type SamplerOptions,
  type SamplerRequest,
} from "../../sampler/options/mod.ts";
import { optional } from "./optional.ts";

/** One of the methods by name. */
export const methodSchema = z.enum(METHOD_NAMES);

/** Creates the schema of an option's number within its bounds. */
export function optionSchema({ integer, min, max }: Pick<OptionRow, "integer" | "min" | "max">): z.ZodNumber {
  const bounded = (integer ? z.int() : z.number()).min(min);
  return max === undefined ? bounded : bounded.max(max);
}

/** Options that a request may give. */
export const spectrumFields = z.strictObject({
  method: optional(methodSchema),
  ...mapOptions(
    "wire",
    ({ wireMax, ...option }) =>
      optional(optionSchema({ ...wireMax && { max: wireMax }, ...option })).describe(
        describeOption(option),
      ),
  ),
  full_steps: optional(z.array(z.int().min(0).max(999)).min(1).max(1000))
    .describe("The full steps by their indices, ascending from 0."),
  quality: optional(z.enum(QUALITY_NAMES)).describe(
    "Instead of `passes`: the fewest full passes whose pictures came as near to all steps in full as " +
      "this, on the " +
      `calibration's validation prompts (${
        Object.entries(QUALITY_LEVELS).map(([name, psnr]) => `${name}: ${psnr} dB`).join(", ")
      }).`,
  ),
});

/** Sampler options in full. */
export const spectrumSettingsSchema = z.object({
  method: methodSchema,
  ...mapOptions("wire", (option) => (option.integer ? z.int() : z.number()).describe(describeOption(option))),
  full_steps: z.array(z.int()).readonly().exactOptional()
    .describe("Given, or the checkpoint's plan for `passes`; absent where a window decides."),
});
export type SpectrumOptions = z.output<typeof spectrumSettingsSchema>;

/** Returns the options as the wire names them. */
export function samplerToWire({ method, fullSteps, ...options }: SamplerOptions): SpectrumOptions {
  return {
    method,
    ...mapOptions("wire", ({ name }) => options[name]),
    ...fullSteps && { full_steps: fullSteps },
  };
}

/** Options of a request, or of settings in full. */
export type GivenSampler = Omit<z.output<typeof spectrumFields>, "full_steps" | "quality"> & {
  full_steps?: readonly number[] | undefined;
  quality?: Quality | undefined;
};

/** Returns the options that a request gives, as the sampler names them. */
export function samplerFromWire(fields: GivenSampler): SamplerRequest & { quality?: Quality | undefined } {
  return {
    method: fields.method,
    fullSteps: fields.full_steps,
    ...fields.quality !== undefined && { quality: fields.quality },
    ...mapOptions("name", ({ wire }) => fields[wire]),
  };
}
