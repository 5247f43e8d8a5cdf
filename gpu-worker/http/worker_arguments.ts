// The command line of `deno task worker`.
import { UsageError } from "../../protocol/process/usage_error.ts";
import { WEIGHT_CHOICES, type WeightChoice } from "../checkpoint/held_weights.ts";
import type { DType } from "../runtime/dtype.ts";
import type { ProviderName } from "../runtime/mod.ts";
import {
  CALIBRATION_FLAGS,
  type CalibrationArguments,
  readCalibrationFlags,
} from "../flags/calibration_flags.ts";
import { MEMORY_FLAGS, type MemoryOptions, readMemoryFlags } from "../flags/memory_flags.ts";
import { defaultModel } from "../flags/model_flags.ts";
import type { PartFiles } from "../checkpoint/part_files.ts";
import { PART_FLAGS, PART_HELP, readPartFlags } from "../flags/part_flags.ts";
import { type FlagKind, readFlags } from "../../protocol/process/read_flags.ts";

export const WORKER_HELP = `Usage: deno task worker [options]

  --models A,B          checkpoints to serve: directories, single files or ORG/NAME; the first is the default
                        (SPECTRUM_MODEL, or models/emoji). A+FILE.safetensors[:WEIGHT]+... serves A with
                        LoRAs, as a model of that name; NAME=A serves A as a model called NAME
${PART_HELP}
  --host H --port N     where to listen; port 0 picks a free port (127.0.0.1, 8001)
  --device D            cpu | cuda | webgpu (cpu)
  --dtype T             float32 | float16 | bfloat16 (float32; bfloat16 on cuda)
  --weights W           auto | as-stored | int8 | int4: how linear layers hold their weights
                        (auto: int8 if they would take three quarters of the memory, or if a GGUF file
                        needs it)
  --offload             load text encoders, denoiser and VAE only while they run: less memory, slower
  --vae-tiling          decode in tiles of the VAE's training size (always above 2048 pixels a side)
  --calibration FILE    what deno task calibrate has written, for a worker of one model (the checkpoint's own)
  --force-calibration   use that file although it is of another model
  --queue N             largest number of waiting runs (256)
  --concurrency N       runs of one model in parallel, one thread each: higher throughput, higher latency per
                        picture, and memory for N runs; cpu only (1)
  --max-batch N         largest picture batch (8); waiting pictures of one size, plan and guidance
                        run together
  --max-loaded N        largest number of models in memory (1)
  --unload-idle S       unload a model that has been idle for S seconds; 0 keeps it (0)
  --min-free-memory GB  unload idle models before a load if less memory than this is free (0)
  --name TEXT           name of this worker on receipts (the host's name)
`;

export const WORKER_FLAGS = {
  ...MEMORY_FLAGS,
  ...PART_FLAGS,
  ...CALIBRATION_FLAGS,
  "models": "text",
  "host": "text",
  "port": "number",
  "device": "text",
  "dtype": "text",
  "weights": "text",
  "queue": "number",
  "concurrency": "number",
  "max-batch": "number",
  "max-loaded": "number",
  "unload-idle": "number",
  "min-free-memory": "number",
  "name": "text",
  "help": "switch",
} as const satisfies Record<string, FlagKind>;

/** Longest model name that a request can carry: protocol/wire/run_request.ts. */
const MAX_MODEL_CHARACTERS = 256;

/** A served model. */
export interface ServedModel {
  /** The name that requests give. */
  id: string;
  /** Directory, single file or ORG/NAME, with LoRAs. */
  model: string;
}

export interface WorkerArguments {
  models: ServedModel[];
  /** Completes the single files among the models; folders ignore it. */
  parts: PartFiles;
  host: string;
  port: number;
  device: ProviderName;
  dtype?: DType;
  weights?: WeightChoice;
  memory: MemoryOptions;
  calibration: CalibrationArguments;
  queueCapacity: number;
  /** Runs on the device at once. */
  concurrency: number;
  /** Largest picture batch. */
  maxBatch: number;
  maxLoaded: number;
  unloadIdleMs: number;
  minFreeBytes: number;
  name?: string;
}

/**
 * Parses the worker's command line.
 * @returns undefined when help is asked for
 * @throws {UsageError} naming the flag
 */
export function parseWorkerArguments(args: readonly string[]): WorkerArguments | undefined {
  const flags = readFlags(args, WORKER_FLAGS);
  if (flags.help) return undefined;
  const models = (flags.models ?? defaultModel()).split(",").map((text) => text.trim()).filter((text) =>
    text !== ""
  ).map(parseServedModel);
  if (models.length === 0) throw new UsageError("--models names no model");
  const long = models.find(({ id }) => id.length > MAX_MODEL_CHARACTERS)?.id;
  if (long !== undefined) {
    throw new UsageError(
      `--models must have names of at most ${MAX_MODEL_CHARACTERS} characters, as in requests: ` +
        `'${long}' has ${long.length}`,
    );
  }
  const distinct = new Map(models.map((served) => [served.id, served]));
  const twice = models.find((served) => distinct.get(served.id)!.model !== served.model);
  if (twice !== undefined) throw new UsageError(`--models gives the name '${twice.id}' to two models`);
  const device = oneOf("device", flags.device ?? "cpu", ["cpu", "cuda", "webgpu"]);
  const memory = readMemoryFlags(flags);
  const concurrency = whole("concurrency", flags.concurrency ?? 1, { min: 1, max: 64 });
  if (concurrency > 1 && device !== "cpu") {
    throw new UsageError(`--concurrency takes --device cpu: current value is '${device}'`);
  }
  if (concurrency > 1 && memory.offload) {
    throw new UsageError("--concurrency cannot go with --offload, which has one graph in memory at a time");
  }
  const calibration = readCalibrationFlags(flags);
  if (calibration.calibration !== undefined && models.length > 1) {
    throw new UsageError(`--calibration takes one model in --models: current value is '${flags.models}'`);
  }
  return {
    models: [...distinct.values()],
    parts: readPartFlags(flags),
    calibration,
    host: flags.host ?? "127.0.0.1",
    port: whole("port", flags.port ?? 8001, { min: 0, max: 65_535 }),
    device,
    ...(flags.dtype && { dtype: oneOf("dtype", flags.dtype, ["float32", "float16", "bfloat16"]) }),
    ...(flags.weights && { weights: oneOf("weights", flags.weights, WEIGHT_CHOICES) }),
    memory,
    concurrency,
    queueCapacity: whole("queue", flags.queue ?? 256, { min: 0, max: 100_000 }),
    maxBatch: whole("max-batch", flags["max-batch"] ?? 8, { min: 1, max: 64 }),
    maxLoaded: whole("max-loaded", flags["max-loaded"] ?? 1, { min: 1, max: 1000 }),
    unloadIdleMs: 1000 * positive("unload-idle", flags["unload-idle"] ?? 0),
    minFreeBytes: 2 ** 30 * positive("min-free-memory", flags["min-free-memory"] ?? 0),
    ...(flags.name !== undefined && { name: flags.name }),
  };
}

/** Parses A or NAME=A. A name has no slash, so that paths with an equals sign stay paths. */
function parseServedModel(text: string): ServedModel {
  const [, id, model] = /^([^=/\\]+)=(.+)$/s.exec(text) ?? [];
  return id === undefined || model === undefined ? { id: text, model: text } : { id, model };
}

function whole(flag: string, value: number, { min, max }: { min: number; max: number }): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new UsageError(`--${flag} must be a whole number in ${min}..${max}: current value is ${value}`);
}

function positive(flag: string, value: number): number {
  if (value >= 0) return value;
  throw new UsageError(`--${flag} must not be negative: current value is ${value}`);
}

function oneOf<const T extends string>(flag: string, value: string, choices: readonly T[]): T {
  const choice = choices.find((known) => known === value);
  if (choice !== undefined) return choice;
  throw new UsageError(`--${flag} must be one of ${choices.join(", ")}: current value is '${value}'`);
}
