// The command line of `deno task calibrate`.
import { UsageError } from "../../../protocol/process/usage_error.ts";
import { readDevice } from "../../flags/device_flags.ts";
import { MEMORY_FLAGS, MEMORY_HELP, type MemoryOptions, readMemoryFlags } from "../../flags/memory_flags.ts";
import { MODEL_FLAGS, MODEL_HELP, readModelName } from "../../flags/model_flags.ts";
import type { PartFiles } from "../../checkpoint/part_files.ts";
import { PART_FLAGS, PART_HELP, readPartFlags } from "../../flags/part_flags.ts";
import { readFlags } from "../../../protocol/process/read_flags.ts";
import type { DeviceOptions } from "../../model/describe_model.ts";

export const CALIBRATE_HELP = `Usage: deno task calibrate [[--model] MODEL] [options]

Measures a checkpoint's features and finds the step plans from which method calibrated forecasts best.
It draws prompts with every step in full and searches a plan for each number of full passes by drawing.
It then measures the plans on further prompts.
The result is one JSON file, which later runs use by themselves.
An interrupted calibration goes on where it was.

${MODEL_HELP}
${PART_HELP}
  --prompt-file FILE       one prompt per line, at least 3 (names that the checkpoint lists, on white and
                           on colours)
  --out FILE               where to write (calibration.json beside the checkpoint, or in .cache/calibrations)
  --steps A,B              numbers of steps to find plans for; the largest is recorded (the checkpoint's)
  --passes A-B             numbers of full passes to find plans for (4-16)
  --record N               prompts to record features of (24)
  --search N               prompts to compare plans on (12)
  --validate N             prompts to measure the found plans on (16)
  --trials N               plans to draw at most for each number of full passes (40); 1 keeps the stored
                           plans and measures them anew
  --seed N                 seed of the first prompt (7000)
  --guidance-scale X --true-cfg-scale X --width N --height N --num-frames N   as for generate
  --threads N              threads of the CPU (one for each physical core)
  --device D --dtype T --weights W   as for generate
${MEMORY_HELP}
`;

export const CALIBRATE_FLAGS = {
  ...MODEL_FLAGS,
  ...PART_FLAGS,
  ...MEMORY_FLAGS,
  "model": "text-or-operand",
  "prompt-file": "text",
  "out": "text",
  "steps": "text",
  "passes": "text",
  "record": "number",
  "search": "number",
  "validate": "number",
  "trials": "number",
  "seed": "number",
  "guidance-scale": "number",
  "true-cfg-scale": "number",
  "width": "number",
  "height": "number",
  "num-frames": "number",
  "threads": "number",
  "device": "text",
  "dtype": "text",
  "weights": "text",
  "help": "switch",
} as const;

/** How many prompts each part of a calibration draws. */
export interface PromptCounts {
  record: number;
  search: number;
  validate: number;
}

export interface CalibrateArguments {
  model: string;
  parts: PartFiles;
  device: DeviceOptions;
  memory: MemoryOptions;
  threads: number | undefined;
  promptFile: string | undefined;
  out: string | undefined;
  /** Descending. Undefined for the checkpoint's own number. */
  steps: readonly number[] | undefined;
  passes: { least: number; most: number };
  counts: PromptCounts;
  trials: number;
  request: {
    seed: number;
    guidanceScale: number | undefined;
    trueCfgScale: number | undefined;
    width: number | undefined;
    height: number | undefined;
    numFrames: number | undefined;
  };
}

/**
 * Parses the command line of `deno task calibrate`.
 * @returns undefined when help is asked for
 * @throws {UsageError} naming the flag
 */
export function parseCalibrateArguments(args: readonly string[]): CalibrateArguments | undefined {
  const flags = readFlags(args, CALIBRATE_FLAGS);
  if (flags.help) return undefined;
  return {
    model: readModelName(flags),
    parts: readPartFlags(flags),
    device: readDevice(flags),
    memory: readMemoryFlags(flags),
    threads: flags.threads === undefined ? undefined : whole("threads", flags.threads),
    promptFile: flags["prompt-file"],
    out: flags.out,
    steps: flags.steps === undefined ? undefined : readSteps(flags.steps),
    passes: readPasses(flags.passes ?? "4-16"),
    counts: {
      record: whole("record", flags.record ?? 24),
      search: whole("search", flags.search ?? 12),
      validate: whole("validate", flags.validate ?? 16),
    },
    trials: whole("trials", flags.trials ?? 40),
    request: {
      seed: flags.seed ?? 7000,
      guidanceScale: flags["guidance-scale"],
      trueCfgScale: flags["true-cfg-scale"],
      width: flags.width,
      height: flags.height,
      numFrames: flags["num-frames"],
    },
  };
}

function readSteps(text: string): number[] {
  const steps = text.split(",").map((part) => Number(part.trim()));
  if (steps.every((count) => Number.isInteger(count) && count >= 4 && count <= 1000)) {
    return [...new Set(steps)].sort((a, b) => b - a);
  }
  throw new UsageError(
    `--steps must be whole numbers in 4..1000, separated by commas: current value is '${text}'`,
  );
}

function readPasses(text: string): { least: number; most: number } {
  const [, least = "", most = least] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  const [from, to] = [Number(least), Number(most)];
  if (least !== "" && from >= 2 && to >= from && to <= 1000) return { least: from, most: to };
  throw new UsageError(`--passes must be A-B, two whole numbers in 2..1000: current value is '${text}'`);
}

function whole(flag: string, value: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= 10_000) return value;
  throw new UsageError(`--${flag} must be a whole number in 1..10000: current value is ${value}`);
}
