// Checks the fields of a complete request that are plain values, by the rules that all families share.
import { badField as bad } from "./bad_field.ts";
import type { GenerateRequest } from "./generate_request.ts";
import type { ModelDescription } from "./model_description.ts";
import { MAX_PICTURES, requestLimits } from "./request_limits.ts";
import type { RequestRules } from "./request_rules.ts";

/** The fields of a request, without those that are completed on their own. */
export type PlainFields = Omit<
  GenerateRequest,
  "sampler" | "startImage" | "references" | "control" | "frames"
>;

const MAX_STEPS = 1000;
const MAX_FPS = 120;

/**
 * Checks the plain fields of a request against the model's rules.
 * @param options `given` is the guidance scale that the request names
 * @throws {OptionError} naming the field, the rule and the value
 */
export function checkFields(
  fields: PlainFields,
  { model, given }: { model: ModelDescription; given: number | undefined },
): void {
  const { rules, defaults: { maxPixels: limit } } = model;
  const { sizeMultiple, maxSide, maxPixels, maxSequenceLength } = requestLimits(model);
  checkWhole("seed", fields.seed, { min: 0, max: Number.MAX_SAFE_INTEGER });
  checkWhole("steps", fields.steps, { min: 1, max: MAX_STEPS });
  for (const side of ["width", "height"] as const) {
    checkWhole(side, fields[side], { min: sizeMultiple, max: maxSide });
    if (fields[side] % sizeMultiple !== 0) {
      throw bad(side, `must be divisible by ${sizeMultiple}: current value is ${fields[side]}`);
    }
  }
  if (fields.width * fields.height > maxPixels) {
    throw bad(
      "size",
      `must have at most ${maxPixels} pixels with this checkpoint: ` +
        `${fields.width}x${fields.height} has ${fields.width * fields.height} (the limit ${
          limit === undefined
            ? `is ${MAX_PICTURES} times its default size; "maxPixels" in its spectrum.json sets another`
            : "is its spectrum.json's"
        })`,
    );
  }
  checkFrames(fields, rules);
  checkWhole("maxSequenceLength", fields.maxSequenceLength, { min: 1, max: maxSequenceLength });
  checkScale("guidanceScale", fields.guidanceScale);
  if (fields.guidanceScale2 !== undefined) checkScale("guidanceScale2", fields.guidanceScale2);
  checkScale("trueCfgScale", fields.trueCfgScale);
  checkGuidanceRescale(fields.guidanceRescale, rules);
  checkGuidanceLimits(fields, rules);
  checkGuidance(fields, { ...rules, given });
}

function checkFrames(
  { numFrames, fps }: PlainFields,
  { video }: Pick<RequestRules, "video">,
): void {
  for (const [name, value, only] of [["numFrames", numFrames, 1], ["fps", fps, 0]] as const) {
    if (video === undefined && value !== only) {
      throw bad(name, `must be ${only} with this model, which draws pictures: current value is ${value}`);
    }
  }
  if (video === undefined) return;
  const { frameStep, minFrames = 1, maxFrames, framePatch = 1 } = video;
  checkWhole("numFrames", numFrames, { min: minFrames, max: maxFrames });
  if ((numFrames - 1) % frameStep !== 0) {
    throw bad("numFrames", `must be a multiple of ${frameStep} plus 1: current value is ${numFrames}`);
  }
  const latentFrames = (numFrames - 1) / frameStep + 1;
  if (latentFrames % framePatch !== 0) {
    throw bad(
      "numFrames",
      `must give a multiple of ${framePatch} latent frames with this checkpoint: ` +
        `${numFrames} give ${latentFrames}`,
    );
  }
  if (typeof fps !== "number" || !(fps > 0 && fps <= MAX_FPS)) {
    throw bad("fps", `must be over 0 and at most ${MAX_FPS}: current value is ${fps}`);
  }
}

function checkGuidance(
  { guidanceScale, trueCfgScale, negativePrompt }: PlainFields,
  { guidance, unguidedScale = 1, given }: Pick<RequestRules, "guidance" | "unguidedScale"> & {
    given: number | undefined;
  },
): void {
  if (guidance === "none" && given) {
    throw bad(
      "guidanceScale",
      (quote) =>
        `must be 0 with this checkpoint, which has no guidance embedding: current value is ${given}. ` +
        `Try ${quote("trueCfgScale")}`,
    );
  }
  if (guidance === "cfg" && trueCfgScale !== 1) {
    throw bad(
      "trueCfgScale",
      (quote) =>
        `must be 1 where ${quote("guidanceScale")} is classifier-free: current value is ${trueCfgScale}`,
    );
  }
  const [name, scale, off] = guidance === "cfg"
    ? ["guidanceScale", guidanceScale, unguidedScale]
    : ["trueCfgScale", trueCfgScale, 1];
  if (negativePrompt !== "" && scale <= off) {
    throw bad("negativePrompt", (quote) => `takes ${quote(name)} > ${off}: current value is ${scale}`);
  }
}

const GUIDANCE_LIMITS = [["cfgNormalization", 100], ["cfgTruncation", 1]] as const;

function checkGuidanceLimits(
  fields: PlainFields,
  { guidanceLimits = false }: RequestRules,
): void {
  for (const [name, max] of GUIDANCE_LIMITS) {
    const value: unknown = fields[name];
    if (!guidanceLimits && value === undefined) continue;
    if (!guidanceLimits) throw bad(name, `must be absent with this model: current value is ${value}`);
    if (typeof value !== "number" || !(value >= 0 && value <= max)) {
      throw bad(name, `must be in 0..${max}: current value is ${value}`);
    }
  }
}

function checkGuidanceRescale(value: unknown, { guidanceRescale = false }: RequestRules): void {
  const max = guidanceRescale ? 1 : 0;
  if (typeof value !== "number" || !(value >= 0 && value <= max)) {
    const rule = guidanceRescale ? "in 0..1" : "0 with this model";
    throw bad("guidanceRescale", `must be ${rule}: current value is ${value}`);
  }
}

function checkWhole(name: string, value: unknown, { min, max }: { min: number; max: number }): void {
  if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
    throw bad(name, `must be a whole number in ${min}..${max}: current value is ${value}`);
  }
}

function checkScale(name: string, value: unknown): void {
  if (typeof value !== "number" || !(value >= 0 && value <= 100)) {
    throw bad(name, `must be in 0..100: current value is ${value}`);
  }
}
