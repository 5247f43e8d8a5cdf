// The ControlNet extension of AUTOMATIC1111's web UI: a unit of `alwayson_scripts` in the fields of an
// image request.
import { z } from "zod";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { optional } from "../../protocol/wire/optional.ts";

const picture = z.union([z.string(), z.looseObject({ image: z.string() })]);

const unitSchema = z.looseObject({
  enabled: optional(z.boolean()),
  image: optional(picture),
  input_image: optional(picture),
  module: optional(z.string()),
  model: optional(z.string()),
  weight: optional(z.number()),
  guidance_start: optional(z.number()),
  guidance_end: optional(z.number()),
  control_mode: optional(z.union([z.string(), z.number()])),
});
type Unit = z.output<typeof unitSchema>;

const script = optional(z.looseObject({ args: z.array(unitSchema).max(20) }));

/** The extension's name differs between programs. */
export const scriptsSchema = optional(z.looseObject({ controlnet: script, ControlNet: script })).describe(
  "controlnet.args: one unit with `image`, `model`, `weight`, `guidance_start` and `guidance_end`. " +
    "Other scripts mean nothing here.",
);
export type Scripts = z.output<typeof scriptsSchema>;

const FIELD = "alwayson_scripts";
const NOTHING = ["", "none"];
const BALANCED: readonly (string | number | undefined)[] = [undefined, 0, "Balanced"];

/**
 * Returns the control fields of an image request.
 * @throws {ApiError} 400 for several units, and for what this server does not do: find edges or poses,
 * weigh by blocks.
 */
export function controlOf(scripts: Scripts) {
  const units = (scripts?.controlnet ?? scripts?.ControlNet)?.args.filter(isUsed) ?? [];
  if (units.length === 0) return {};
  if (units.length > 1) throw refusal(`must have one enabled ControlNet unit, but has ${units.length}`);
  const { image, input_image, module, model, weight, guidance_start, guidance_end, control_mode } = units[0]!;
  if (!isNothing(module)) {
    throw refusal(
      `must have 'module' none, but has '${module!.slice(0, 60)}': control images are used as they are`,
    );
  }
  if (!BALANCED.includes(control_mode)) {
    throw refusal(`must have 'control_mode' Balanced, but has '${String(control_mode).slice(0, 60)}'`);
  }
  const given = image ?? input_image;
  return {
    control_image: typeof given === "object" ? given.image : given,
    // Front ends put a hash behind the name: "canny [d14c016b]".
    controlnet: isNothing(model) ? undefined : model!.replace(/\s*\[[0-9a-f]+\]$/i, ""),
    control_scale: weight,
    control_start: guidance_start,
    control_end: guidance_end,
  };
}

function isUsed({ enabled = true, image, input_image }: Unit): boolean {
  return enabled && (image ?? input_image) !== undefined;
}

function isNothing(name = ""): boolean {
  return NOTHING.includes(name.toLowerCase());
}

function refusal(problem: string): ApiError {
  return new ApiError(400, `'${FIELD}' ${problem}`, { param: FIELD, code: "invalid_value" });
}
