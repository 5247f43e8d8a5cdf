// The sampling flags, shared by `generate` and `batch`.
import { UsageError } from "../../protocol/process/usage_error.ts";
import {
  describeOption,
  mapOptions,
  type Method,
  METHOD_NAMES,
  type Option,
  OPTIONS,
  type Quality,
  QUALITY_LEVELS,
  SCHEDULER_NAMES,
} from "../../sampler/mod.ts";
import type { PartialRequest } from "../request/generate_request.ts";
import type { FlagKind, Flags } from "../../protocol/process/read_flags.ts";

export const SAMPLING_FLAGS = {
  "negative-prompt": "text",
  "seed": "number",
  "steps": "number",
  "width": "number",
  "height": "number",
  "num-frames": "number",
  "fps": "number",
  "guidance-scale": "number",
  "guidance-scale-2": "number",
  "true-cfg-scale": "number",
  "guidance-rescale": "number",
  "cfg-normalization": "number",
  "cfg-truncation": "number",
  "skip-guidance-layers": "text",
  "skip-layer-guidance-scale": "number",
  "skip-layer-guidance-start": "number",
  "skip-layer-guidance-stop": "number",
  "max-sequence-length": "number",
  "scheduler": "text",
  "scheduler-option": "texts",
  "prompt-weights": "switch",
  "long-prompts": "switch",
  "wildcards": "switch",
  "method": "text",
  "quality": "text",
  ...mapOptions("flag", () => "number"),
} as const satisfies Record<string, FlagKind>;

/** Lines of a command's help. */
export const SAMPLING_HELP = `\
  --negative-prompt TEXT   what not to draw; needs classifier-free guidance > 1
  --steps N                sampling steps (the checkpoint's)
  --width N --height N     pixels (the checkpoint's)
  --num-frames N --fps X   a video's number of frames and frames per second (the checkpoint's)
  --guidance-scale X       scale of distilled (FLUX.1-dev) or classifier-free guidance (the checkpoint's)
  --guidance-scale-2 X     of Wan2.2's second expert (--guidance-scale's)
  --true-cfg-scale X       FLUX's classifier-free guidance; 1 is off (the checkpoint's)
  --guidance-rescale X     scales back the spread that classifier-free guidance widens, 0..1 (0)
  --cfg-normalization X    longest guided output of Z-Image, in lengths of the prompt's own; 0 is off (0)
  --cfg-truncation X       share of the noise that is gone when Z-Image's guidance ends, 0..1 (1)
  --skip-guidance-layers L  blocks to leave out in skip-layer guidance (SD3.5), e.g. 7,8,9 (none)
  --skip-layer-guidance-scale X --skip-layer-guidance-start X --skip-layer-guidance-stop X   (2.8, 0.01, 0.2)
  --max-sequence-length N  tokens of the T5 prompt (the checkpoint's)
  --scheduler NAME         diffusers' class in place of the checkpoint's: ${
  SCHEDULER_NAMES.map((name) => name.replace(/Scheduler$/, "")).join(", ")
} (with or without "Scheduler")
  --scheduler-option NAME=VALUE   of the scheduler's config, such as use_karras_sigmas=true;
                           repeat for several
  --prompt-weights         (red:1.3), ((red)) and [blue] weigh words, as in AUTOMATIC1111's web UI
                           (SD 1.x, 2.x, SDXL)
  --long-prompts           reads prompts of more than 77 tokens in chunks instead of cutting them
                           (SD 1.x, 2.x, SDXL)
  --wildcards              {red|blue} in prompts is one of both; the seed chooses
  --method M               ${
  METHOD_NAMES.join(" | ")
} (the checkpoint's; else calibrated with a calibration, spectrum without)
  --quality Q              the fewest passes that reach ${
  Object.entries(QUALITY_LEVELS).map(([name, psnr]) => `${name} (${psnr} dB)`).join(", ")
}; needs a calibration
  A default in parentheses holds if the checkpoint's spectrum.json has none.
${OPTIONS.map(helpLine).join("\n")}`;

/** Returns a request without its prompt. `completeRequest` checks the values. */
export function samplingRequest(
  flags: Flags<typeof SAMPLING_FLAGS>,
): Omit<PartialRequest, "prompt" | "seed"> & { seed: number | undefined } {
  return {
    seed: flags.seed,
    negativePrompt: flags["negative-prompt"],
    steps: flags.steps,
    width: flags.width,
    height: flags.height,
    numFrames: flags["num-frames"],
    fps: flags.fps,
    guidanceScale: flags["guidance-scale"],
    guidanceScale2: flags["guidance-scale-2"],
    trueCfgScale: flags["true-cfg-scale"],
    guidanceRescale: flags["guidance-rescale"],
    cfgNormalization: flags["cfg-normalization"],
    cfgTruncation: flags["cfg-truncation"],
    skipLayerGuidance: skipLayers(flags),
    maxSequenceLength: flags["max-sequence-length"],
    ...schedulerOf(flags),
    promptWeights: flags["prompt-weights"] || undefined,
    longPrompts: flags["long-prompts"] || undefined,
    wildcards: flags.wildcards || undefined,
    sampler: {
      // The sampler rejects unknown methods and orders and lists the known ones.
      method: flags.method as Method | undefined,
      quality: flags.quality as Quality | undefined,
      ...mapOptions("name", ({ flag }) => flags[flag]),
    },
  };
}

function schedulerOf(
  { scheduler, "scheduler-option": given }: Flags<typeof SAMPLING_FLAGS>,
): Pick<PartialRequest, "scheduler"> {
  if (scheduler === undefined && given.length === 0) return {};
  const name = scheduler && (scheduler.endsWith("Scheduler") ? scheduler : `${scheduler}Scheduler`);
  const options = Object.fromEntries(given.map((text) => {
    const [, key, value = ""] = /^([a-z_0-9]+)=(.*)$/.exec(text) ?? [];
    if (key === undefined) {
      throw new UsageError(`--scheduler-option must be NAME=VALUE: current value is '${text}'`);
    }
    return [key, valueOf(value)];
  }));
  return { scheduler: { name, options } };
}

/** Numbers, true, false and null are JSON's; all else is text. */
function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function helpLine(option: Option): string {
  return `  --${option.flag} ${option.integer ? "N" : "X"}`.padEnd(27) + describeOption(option);
}

function skipLayers(flags: Flags<typeof SAMPLING_FLAGS>): PartialRequest["skipLayerGuidance"] {
  const layers = flags["skip-guidance-layers"];
  const [scale, start, stop] = (["scale", "start", "stop"] as const).map((part) => {
    const value = flags[`skip-layer-guidance-${part}`];
    if (value === undefined || layers !== undefined) return value;
    throw new UsageError(`--skip-layer-guidance-${part} needs --skip-guidance-layers`);
  });
  if (layers === undefined) return undefined;
  const indices = layers.split(",").map((layer) => layer.trim() === "" ? NaN : Number(layer));
  return { layers: indices, scale, start, stop };
}
