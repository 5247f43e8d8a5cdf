// The command line of `deno task batch`.
import { basename } from "node:path";
import { UsageError } from "../../../protocol/process/usage_error.ts";
import { controlNetName, formatLora } from "../../../protocol/wire/model_name.ts";
import { parseModelName } from "../../../protocol/wire/model_name.ts";
import type { PartialRequest } from "../../request/generate_request.ts";
import type { ProviderName } from "../../runtime/mod.ts";
import type { DType } from "../../runtime/dtype.ts";
import type { WeightChoice } from "../../checkpoint/held_weights.ts";
import { readDevice, WEIGHTS_HELP } from "../../flags/device_flags.ts";
import {
  CONTROL_FLAGS,
  CONTROL_HELP,
  type ControlArguments,
  readControlFlags,
} from "../../flags/control_flags.ts";
import { IMAGE_FLAGS, IMAGE_HELP, type ImageArguments, readImageFlags } from "../../flags/image_flags.ts";
import { MEMORY_FLAGS, MEMORY_HELP, type MemoryOptions, readMemoryFlags } from "../../flags/memory_flags.ts";
import {
  CALIBRATION_FLAGS,
  CALIBRATION_HELP,
  type CalibrationArguments,
  readCalibrationFlags,
} from "../../flags/calibration_flags.ts";
import { MODEL_FLAGS, MODEL_HELP, readModelName } from "../../flags/model_flags.ts";
import type { PartFiles } from "../../checkpoint/part_files.ts";
import { PART_FLAGS, PART_HELP, readPartFlags } from "../../flags/part_flags.ts";
import { type FlagKind, readFlags } from "../../../protocol/process/read_flags.ts";
import { SAMPLING_FLAGS, SAMPLING_HELP, samplingRequest } from "../../flags/sampling_flags.ts";

export const BATCH_HELP = `Usage: deno task batch [--prompt-file] FILE [options]

  --prompt-file FILE       prompts, one per line; empty lines and comments (#) are skipped;
                           - reads standard input
  --total-prompt-num N     the first N prompts only (all)
${MODEL_HELP}
${PART_HELP}
  --devices A,B            one process each, all of one kind: cpu | cuda:N or just N | webgpu (cpu)
  --dtype T                float32 | float16 | bfloat16 (float32; bfloat16 on cuda)
${WEIGHTS_HELP}
${MEMORY_HELP}
${CALIBRATION_HELP}
  --output-base-path DIR   folder of all experiments (out)
  --exp-name NAME          folder of this experiment (<model>/<method>); it gets a folder per prompt with
                           image.png (and video.mp4) and stats.json
  --json                   the summary as one JSON object on stdout
  --no-metadata            files do not say how they were made (prompt, seed, settings, model)
  --seed N                 first seed of every prompt, -1 for a random one each (42)
  --n N                    pictures of each prompt, with seeds seed..seed+n-1, each in a folder
                           <prompt>-<seed> (1)
${IMAGE_HELP}
${CONTROL_HELP}
${SAMPLING_HELP}

Prompts that have a picture with the same settings are skipped.
The same command therefore continues an interrupted batch.
`;

export const BATCH_FLAGS = {
  ...SAMPLING_FLAGS,
  ...MODEL_FLAGS,
  ...PART_FLAGS,
  ...IMAGE_FLAGS,
  ...CONTROL_FLAGS,
  ...MEMORY_FLAGS,
  ...CALIBRATION_FLAGS,
  "prompt-file": "text-or-operand",
  "total-prompt-num": "number",
  "devices": "text",
  "dtype": "text",
  "weights": "text",
  "output-base-path": "text",
  "exp-name": "text",
  "no-metadata": "switch",
  "n": "number",
  "json": "switch",
  "help": "switch",
} as const satisfies Record<string, FlagKind>;

export interface BatchDevice {
  /** The device as the user may name it: "cpu", "cuda:1". */
  name: string;
  provider: ProviderName;
  /** Index of the CUDA device. */
  deviceId?: number;
}

export interface BatchArguments {
  promptFile: string;
  totalPromptNum: number;
  model: string;
  parts: PartFiles;
  devices: BatchDevice[];
  dtype: DType | undefined;
  weights: WeightChoice | undefined;
  memory: MemoryOptions;
  calibration: CalibrationArguments;
  /** The image that every prompt starts from. */
  image: ImageArguments | undefined;
  /** The image that a ControlNet follows with every prompt. */
  control: ControlArguments | undefined;
  outputBasePath: string;
  /** Name of the experiment. If undefined, it is named after model and method. */
  expName: string | undefined;
  json: boolean;
  /** Whether files say how they were made. */
  metadata: boolean;
  /** Pictures of each prompt. */
  n: number;
  /** -1 for a random seed each. */
  seed: number;
  request: Omit<PartialRequest, "prompt" | "seed">;
}

const MAX_PICTURES = 1000;

/**
 * Parses the command line of `deno task batch`.
 * @returns undefined when help is asked for
 * @throws {UsageError} naming the flag
 */
export function parseBatchArguments(args: readonly string[]): BatchArguments | undefined {
  const flags = readFlags(args, BATCH_FLAGS);
  if (flags.help) return undefined;
  const { "prompt-file": promptFile, "total-prompt-num": totalPromptNum = Infinity } = flags;
  if (promptFile === undefined) throw new UsageError("--prompt-file is missing; --help lists what there is");
  if (totalPromptNum !== Infinity && !(Number.isInteger(totalPromptNum) && totalPromptNum >= 1)) {
    throw new UsageError(
      `--total-prompt-num must be a whole number >= 1: current value is ${totalPromptNum}`,
    );
  }
  const { dtype, weights } = readDevice({ ...flags, device: undefined });
  const { n = 1 } = flags;
  if (!Number.isInteger(n) || n < 1 || n > MAX_PICTURES) {
    throw new UsageError(`--n must be a whole number in 1..${MAX_PICTURES}: current value is ${n}`);
  }
  const { seed = 42, ...request } = samplingRequest(flags);
  const devices = (flags.devices ?? "cpu").split(",").map((device) => parseDevice(device.trim()));
  if (new Set(devices.map(({ provider }) => provider)).size > 1) {
    throw new UsageError(
      `--devices must be of one kind, as their pictures differ: current value is '${flags.devices}'`,
    );
  }
  return {
    promptFile,
    totalPromptNum,
    model: readModelName(flags),
    parts: readPartFlags(flags),
    devices,
    dtype,
    weights,
    memory: readMemoryFlags(flags),
    calibration: readCalibrationFlags(flags),
    image: readImageFlags(flags),
    control: readControlFlags(flags),
    outputBasePath: flags["output-base-path"] ?? "out",
    expName: flags["exp-name"],
    json: flags.json,
    metadata: !flags["no-metadata"],
    n,
    seed,
    request,
  };
}

function parseDevice(device: string): BatchDevice {
  const id = /^(?:cuda:)?(\d+)$/.exec(device)?.[1];
  if (id !== undefined) return { name: `cuda:${id}`, provider: "cuda", deviceId: Number(id) };
  if (device === "cpu" || device === "cuda" || device === "webgpu") return { name: device, provider: device };
  throw new UsageError(`--devices takes cpu, webgpu, cuda:N or N: current value is '${device}'`);
}

/**
 * Names an experiment: "black-forest-labs/FLUX.1-dev+loras/ink.safetensors:0.7"
 * and "spectrum" give "FLUX.1-dev+ink@0.7/spectrum". Windows can store no colon.
 */
export function defaultExpName(model: string, method: string): string {
  const { name, loras, controlNets = [] } = parseModelName(model);
  const parts = loras.map(({ path, weight }) =>
    formatLora({ path: basename(path, ".safetensors"), weight }).replace(":", "@")
  );
  const nets = controlNets.map(controlNetName);
  return `${[basename(name, ".safetensors"), ...nets, ...parts].join("+")}/${method}`;
}
