// AUTOMATIC1111's sampler and scheduler names as diffusers' classes.
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { ModelCard } from "../../protocol/wire/model_card.ts";

type Options = Readonly<Record<string, boolean | string>>;

interface Sampler {
  /** Classes that sample like it, for models of noise and of flow. */
  classes: readonly string[];
  options?: Options;
}

/** Keyed by the names there. "Automatic" is the model's own. */
const SAMPLERS: Readonly<Record<string, Sampler>> = {
  "Euler": { classes: ["EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler"] },
  "Euler a": { classes: ["EulerAncestralDiscreteScheduler"] },
  "DPM++ 2M": { classes: ["DPMSolverMultistepScheduler"] },
  "DPM++ 2M SDE": {
    classes: ["DPMSolverMultistepScheduler"],
    options: { algorithm_type: "sde-dpmsolver++" },
  },
  "DDIM": { classes: ["DDIMScheduler"], options: { clip_sample: false } },
  "PLMS": { classes: ["PNDMScheduler"], options: { skip_prk_steps: true } },
  "UniPC": { classes: ["UniPCMultistepScheduler"] },
};

/** The spacing of noise levels: a field of its own, or a suffix of the sampler's name. */
const SPACINGS: Readonly<Record<string, Options>> = {
  automatic: {},
  normal: {},
  karras: { use_karras_sigmas: true },
  exponential: { use_exponential_sigmas: true },
  beta: { use_beta_sigmas: true },
};

/** Classes without spacings of their own. */
const FIXED = ["EulerAncestralDiscreteScheduler", "DDIMScheduler", "PNDMScheduler"];

export const AUTOMATIC = "Automatic";
export const SAMPLER_NAMES: readonly string[] = [AUTOMATIC, ...Object.keys(SAMPLERS)];
export const SPACING_NAMES: readonly string[] = Object.keys(SPACINGS);

export interface ChosenSampler {
  scheduler?: string;
  scheduler_options?: Options;
  /** Why the model's own sampler draws instead. */
  warning?: string;
}

/**
 * Returns the scheduler that a sampler's name means for the model. Front ends send a name that nobody has
 * chosen, so a model that cannot be sampled that way keeps its own, with a warning.
 * @throws {ApiError} 400 for a name that is unknown here
 */
export function chooseSampler(
  { sampler_name, sampler_index, scheduler: spacing = "automatic" }: {
    sampler_name?: string | undefined;
    sampler_index?: string | undefined;
    scheduler?: string | undefined;
  },
  { id, schedulers = [] }: Pick<ModelCard, "id" | "schedulers">,
): ChosenSampler {
  const given = sampler_name || sampler_index || AUTOMATIC;
  const [name, suffix = spacing] = splitName(given);
  const spaced = SPACINGS[suffix.toLowerCase() || "automatic"];
  if (spaced === undefined) throw unknown("scheduler", { value: suffix, known: SPACING_NAMES });
  if (name.toLowerCase() === AUTOMATIC.toLowerCase()) return {};
  const known = Object.keys(SAMPLERS).find((known) => known.toLowerCase() === name.toLowerCase());
  if (known === undefined) throw unknown("sampler_name", { value: given, known: SAMPLER_NAMES });
  const { classes, options = {} } = SAMPLERS[known]!;
  const scheduler = classes.find((name) => schedulers.includes(name));
  if (scheduler === undefined) {
    return { warning: `${id} cannot be sampled with ${known}, so its own sampler has drawn the picture.` };
  }
  // A front end that only names a sampler means the model's own spacing.
  const own = scheduler.startsWith("FlowMatch") || FIXED.includes(scheduler) ? {} : spaced;
  return {
    scheduler,
    scheduler_options: { ...options, ...own },
    ...own !== spaced && Object.keys(spaced).length > 0 && {
      warning: `${known} has one spacing of noise levels here, so '${suffix}' has no effect.`,
    },
  };
}

/** Splits "DPM++ 2M Karras", as older versions say it. */
function splitName(text: string): [name: string, suffix?: string] {
  const [, name, suffix] = /^(.+?)\s+(karras|exponential|beta)$/i.exec(text.trim()) ?? [];
  return name === undefined || suffix === undefined ? [text.trim()] : [name, suffix];
}

function unknown(param: string, { value, known }: { value: string; known: readonly string[] }): ApiError {
  return new ApiError(400, `'${param}' must be one of ${known.join(", ")}: current value is '${value}'`, {
    param,
    code: "invalid_value",
  });
}
