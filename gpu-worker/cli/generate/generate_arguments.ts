// The command line of `deno task generate`.
import { UsageError } from "../../../protocol/process/usage_error.ts";
import type { PartialRequest } from "../../request/generate_request.ts";
import type { DeviceOptions } from "../../model/describe_model.ts";
import { readDevice, WEIGHTS_HELP } from "../../flags/device_flags.ts";
import { MEMORY_FLAGS, MEMORY_HELP, type MemoryOptions, readMemoryFlags } from "../../flags/memory_flags.ts";
import {
  CALIBRATION_FLAGS,
  CALIBRATION_HELP,
  type CalibrationArguments,
  readCalibrationFlags,
} from "../../flags/calibration_flags.ts";
import { MODEL_FLAGS, MODEL_HELP, readModelName } from "../../flags/model_flags.ts";
import {
  CONTROL_FLAGS,
  CONTROL_HELP,
  type ControlArguments,
  readControlFlags,
} from "../../flags/control_flags.ts";
import { IMAGE_FLAGS, IMAGE_HELP, type ImageArguments, readImageFlags } from "../../flags/image_flags.ts";
import type { PartFiles } from "../../checkpoint/part_files.ts";
import { PART_FLAGS, PART_HELP, readPartFlags } from "../../flags/part_flags.ts";
import { type FlagKind, readFlags } from "../../../protocol/process/read_flags.ts";
import { SAMPLING_FLAGS, SAMPLING_HELP, samplingRequest } from "../../flags/sampling_flags.ts";
import { STANDARD_OUTPUT } from "./output_files.ts";
import { OUT_FIELDS } from "./output_paths.ts";

export const GENERATE_HELP = `Usage: deno task generate [--prompt] TEXT [options]

  --prompt TEXT            what to draw; - reads it from standard input
  --prompt-file FILE       draws each line; - reads standard input; lines that begin with # are comments
  --from FILE              draws a picture or video of this program again; other flags change it
${MODEL_HELP}
${PART_HELP}
  --seed N                 first seed, -1 for a random one (42)
  --n N                    pictures of each prompt, with seeds seed..seed+n-1 (1)
${IMAGE_HELP}
${CONTROL_HELP}
${SAMPLING_HELP}
  --device D               cpu | cuda | webgpu (cpu)
  --dtype T                float32 | float16 | bfloat16 (float32; bfloat16 on cuda)
${WEIGHTS_HELP}
${MEMORY_HELP}
${CALIBRATION_HELP}
  --out FILE               .png, .jpg or .webp (out/{prompt}-{seed}.png); videos: .mp4, .webp, .gif, or single
                           frames as frames/ or frames/%04d.png (out/{prompt}-{seed}.mp4). {${
  OUT_FIELDS.join("}, {")
}}
                           are filled in; - writes one picture to standard output
  --overwrite              replace files; otherwise a picture whose name is taken gets -2, -3, ...
  --no-metadata            files do not say how they were made (prompt, seed, settings, model)
  --json                   print one JSON object on stdout
  --dump FILE.safetensors  save initial_latents, latents and image (a video's middle frame) as float32, and
                           a video's frames as uint8
`;

export const GENERATE_FLAGS = {
  ...SAMPLING_FLAGS,
  ...IMAGE_FLAGS,
  ...CONTROL_FLAGS,
  ...MODEL_FLAGS,
  ...PART_FLAGS,
  ...MEMORY_FLAGS,
  ...CALIBRATION_FLAGS,
  "prompt": "text-or-operand",
  "prompt-file": "text",
  "from": "text",
  "n": "number",
  "device": "text",
  "dtype": "text",
  "weights": "text",
  "out": "text",
  "overwrite": "switch",
  "no-metadata": "switch",
  "json": "switch",
  "dump": "text",
  "help": "switch",
} as const satisfies Record<string, FlagKind>;

const MAX_PICTURES = 1000;
const MAX_ARGUMENT_CHARACTERS = 8000;

export interface GenerateArguments {
  /** undefined: the model of --from, else the embedded one. */
  model: string | undefined;
  parts: PartFiles;
  device: DeviceOptions;
  memory: MemoryOptions;
  /** "-": standard input. */
  prompt: string | undefined;
  /** A file of prompts; "-": standard input. */
  promptFile: string | undefined;
  /** A file whose picture is drawn again. */
  from: string | undefined;
  calibration: CalibrationArguments;
  n: number;
  /** Output path. If undefined, `defaultOutput`. */
  out: string | undefined;
  overwrite: boolean;
  /** Whether files say how they were made. */
  metadata: boolean;
  json: boolean;
  dump?: string;
  /** The image to start from. */
  image: ImageArguments | undefined;
  /** The image that a ControlNet follows. */
  control: ControlArguments | undefined;
  /** The options on the command line. */
  request: Omit<PartialRequest, "prompt" | "seed"> & { seed: number | undefined };
}

/**
 * Parses the command line of `deno task generate`.
 * @returns undefined when help is asked for
 * @throws {UsageError} for unknown flags and for values that no model accepts
 */
export function parseGenerateArguments(args: readonly string[]): GenerateArguments | undefined {
  assertLength(args);
  const flags = readFlags(args, GENERATE_FLAGS);
  if (flags.help) return undefined;
  const { prompt, "prompt-file": promptFile, from, n = 1, out, json, dump } = flags;
  const { sampler = {}, ...request } = samplingRequest(flags);
  if (prompt === undefined && promptFile === undefined && from === undefined) {
    throw new UsageError("--prompt is missing; --help lists what there is");
  }
  if (prompt !== undefined && promptFile !== undefined) {
    throw new UsageError("--prompt and --prompt-file exclude each other");
  }
  if (!Number.isInteger(n) || n < 1 || n > MAX_PICTURES) {
    throw new UsageError(`--n must be a whole number in 1..${MAX_PICTURES}: current value is ${n}`);
  }
  if (out === STANDARD_OUTPUT && (n > 1 || promptFile !== undefined || json)) {
    throw new UsageError("--out - takes one picture, without --json");
  }
  // An option by itself would be mixed with those of the picture that is drawn again.
  const hasOwn = Object.values(sampler).some((value) => value !== undefined);
  return {
    model: [flags.model, flags.controlnet, ...flags.lora].every((value) => value === undefined)
      ? undefined
      : readModelName(flags),
    parts: readPartFlags(flags),
    device: readDevice(flags),
    memory: readMemoryFlags(flags),
    prompt,
    promptFile,
    from,
    calibration: readCalibrationFlags(flags),
    n,
    out,
    overwrite: flags.overwrite,
    metadata: !flags["no-metadata"],
    json,
    ...(dump !== undefined && { dump }),
    image: readImageFlags(flags),
    control: readControlFlags(flags),
    request: { ...request, ...hasOwn && { sampler } },
  };
}

/**
 * Limits arguments: ONNX Runtime searches the command line with a
 * recursive regex, and 25,000 characters overflow its stack.
 */
function assertLength(args: readonly string[]): void {
  const longest = args.reduce((a, b) => b.length > a.length ? b : a, "");
  if (longest.length <= MAX_ARGUMENT_CHARACTERS) return;
  const name = args[args.indexOf(longest) - 1];
  throw new RangeError(
    `Cannot generate as ${
      name?.startsWith("--") ? `'${name.slice(2)}'` : "each argument"
    } must have at most ` +
      `${MAX_ARGUMENT_CHARACTERS} characters on a command line: it has ${longest.length}`,
  );
}
