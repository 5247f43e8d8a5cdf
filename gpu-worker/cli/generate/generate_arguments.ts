// The command line of `deno task generate`.
import { cleanText } from "../../../protocol/wire/text.ts";
import { UsageError } from "../../../protocol/process/usage_error.ts";
import type { PartialRequest } from "../../request/generate_request.ts";
import type { DeviceOptions } from "../../model/describe_model.ts";
import { readDevice, WEIGHTS_HELP } from "../../flags/device_flags.ts";
import { MEMORY_FLAGS, MEMORY_HELP, type MemoryOptions, readMemoryFlags } from "../../flags/memory_flags.ts";
import { MODEL_FLAGS, MODEL_HELP, readModelName } from "../../flags/model_flags.ts";
import type { PartFiles } from "../../checkpoint/part_files.ts";
import { PART_FLAGS, PART_HELP, readPartFlags } from "../../flags/part_flags.ts";
import { IMAGE_FLAGS, IMAGE_HELP, type ImageArguments, readImageFlags } from "../../flags/image_flags.ts";
import { type FlagKind, readFlags } from "../../flags/read_flags.ts";
import { SAMPLING_FLAGS, SAMPLING_HELP, samplingRequest } from "../../flags/sampling_flags.ts";

export const GENERATE_HELP = `Usage: deno task generate --prompt TEXT [options]

  --prompt TEXT            what to draw
${MODEL_HELP}
${PART_HELP}
  --seed N                 first seed (42)
  --n N                    pictures, with seeds seed..seed+n-1 (1)
${IMAGE_HELP}
${SAMPLING_HELP}
  --device D               cpu | cuda | webgpu (cpu)
  --dtype T                float32 | float16 | bfloat16 (float32; bfloat16 on cuda)
${WEIGHTS_HELP}
${MEMORY_HELP}
  --out FILE               .png, .jpg or .webp (out/<prompt>-<seed>.png); videos: .mp4, .webp, .gif, or single
                           frames as frames/ or frames/%04d.png (out/<prompt>-<seed>.mp4)
  --json                   print one JSON object on stdout
  --dump FILE.safetensors  save initial_latents, latents and image (a video's middle frame) as float32; a video's frames as uint8
`;

const FLAGS = {
  ...SAMPLING_FLAGS,
  ...IMAGE_FLAGS,
  ...MODEL_FLAGS,
  ...PART_FLAGS,
  ...MEMORY_FLAGS,
  "prompt": "text",
  "n": "number",
  "device": "text",
  "dtype": "text",
  "weights": "text",
  "out": "text",
  "json": "switch",
  "dump": "text",
  "help": "switch",
} as const satisfies Record<string, FlagKind>;

const MAX_PICTURES = 100;
const MAX_ARGUMENT_CHARACTERS = 8000;

export interface GenerateArguments {
  model: string;
  parts: PartFiles;
  device: DeviceOptions;
  memory: MemoryOptions;
  n: number;
  /** Output path. If undefined, {@link defaultOutput} with the model's default extension. */
  out: string | undefined;
  json: boolean;
  dump?: string;
  /** The image to start from. */
  image: ImageArguments | undefined;
  request: PartialRequest;
}

/**
 * Parses the command line of `deno task generate`.
 * @returns undefined when help is asked for
 * @throws {UsageError} for unknown flags and for values that no model accepts
 */
export function parseGenerateArguments(args: readonly string[]): GenerateArguments | undefined {
  assertLength(args);
  const flags = readFlags(args, FLAGS);
  if (flags.help) return undefined;
  const { prompt, n = 1 } = flags;
  const request = samplingRequest(flags);
  if (prompt === undefined) throw new UsageError("--prompt is missing; --help lists what there is");
  if (!Number.isInteger(n) || n < 1 || n > MAX_PICTURES) {
    throw new UsageError(`--n must be a whole number in 1..${MAX_PICTURES}: current value is ${n}`);
  }
  return {
    model: readModelName(flags),
    parts: readPartFlags(flags),
    device: readDevice(flags),
    memory: readMemoryFlags(flags),
    n,
    out: flags.out,
    json: flags.json,
    ...(flags.dump !== undefined && { dump: flags.dump }),
    image: readImageFlags(flags),
    request: { ...request, prompt: cleanText(nonEmpty(prompt)) },
  };
}

/**
 * Rejects an empty prompt. It is more often a script's
 * mistake than intended, and OpenAI's API rejects it too.
 */
function nonEmpty(prompt: string): string {
  if (prompt !== "") return prompt;
  throw new RangeError(
    "Cannot generate as 'prompt' must not be empty (a single space draws an unprompted picture)",
  );
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

/** Returns the output path for a picture without --out. */
export function defaultOutput(
  { prompt, seed }: Pick<PartialRequest, "prompt" | "seed">,
  extension: string,
): string {
  return `out/${slug(prompt)}-${seed}${extension}`;
}

function slug(prompt: string): string {
  const words = prompt.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");
  return [...words].slice(0, 40).join("") || "picture";
}
