// `deno task inspect`: what a checkpoint is, whether it can run here, and what memory it takes.
import { countHistorySlots, planSteps, resolveSamplerOptions } from "../../sampler/mod.ts";
import { type DeviceOptions, readModel } from "../pipelines/read_model.ts";
import { DTYPE_BYTES } from "../runtime/dtype.ts";
import { type ProviderName, Runtime } from "../runtime/mod.ts";
import { modelDigest } from "../pipelines/model_digest.ts";
import { readDevice } from "./device_flags.ts";
import { readFlags } from "./read_flags.ts";
import { runCommand } from "./run_command.ts";

const HELP =
  `Usage: deno task inspect [--model DIR | ORG/NAME] [--device cpu|cuda|webgpu] [--dtype T] [--json]
`;

// deno-lint-ignore require-await -- runCommand awaits every command
async function inspect(args: string[]): Promise<void> {
  const flags = readFlags(args, {
    model: "text",
    device: "text",
    dtype: "text",
    json: "switch",
    help: "switch",
  });
  if (flags.help) return console.log(HELP);
  const report = describe(flags.model ?? "models/emoji", readDevice(flags));
  if (flags.json) return console.log(JSON.stringify(report, null, 2));
  print(report);
}

function describe(model: string, options: DeviceOptions) {
  const { provider = "cpu" } = options;
  const { checkpoint, dtype, reading } = readModel(model, options);
  const { defaults } = reading;
  const slots = countHistorySlots(
    planSteps(defaults.steps, resolveSamplerOptions(defaults.sampler, defaults.steps)),
  );
  const components = checkpoint.components().map(({ name, className, weights }) => {
    const entries = [...weights.values()];
    return {
      name,
      className,
      parameters: entries.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0),
      dtypes: [...new Set(entries.map((entry) => entry.dtype))],
      bytes: entries.reduce((sum, { byteLength }) => sum + byteLength, 0),
    };
  });
  const weightBytes = components.reduce((sum, { parameters }) => sum + parameters, 0) * DTYPE_BYTES[dtype];
  const historyBytes = slots * reading.featureElements(defaults) * DTYPE_BYTES[dtype];
  return {
    model,
    folder: checkpoint.folder,
    pipelineClass: checkpoint.pipelineClass,
    digest: modelDigest(checkpoint.folder, checkpoint.loras),
    components,
    defaults,
    device: { provider, dtype, problem: problemOf(provider) },
    memory: { weightBytes, historySlots: slots, historyBytes, freeBytes: Deno.systemMemoryInfo().available },
  };
}

/** Why the provider cannot be had here. */
function problemOf(provider: ProviderName): string | undefined {
  try {
    Runtime.open({ provider })[Symbol.dispose]();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function print(
  { model, folder, pipelineClass, digest, components, defaults, device, memory }: ReturnType<typeof describe>,
): void {
  const needed = memory.weightBytes + memory.historyBytes;
  console.log(`${model}: ${pipelineClass} in ${folder}`);
  console.log(`digest ${digest}`);
  console.table(Object.fromEntries(components.map(({ name, className, parameters, dtypes, bytes }) => [
    name,
    { class: className, parameters, stored: dtypes.join(" "), size: megabytes(bytes) },
  ])));
  const { steps, width, height } = defaults;
  console.log(`defaults: ${steps} steps, ${width}x${height}`);
  console.log(`weights as ${device.dtype}: ${megabytes(memory.weightBytes)}`);
  console.log(`history of ${memory.historySlots} features: ${megabytes(memory.historyBytes)}`);
  const verdict = device.problem ??
    (needed > memory.freeBytes && device.provider === "cpu"
      ? `needs ${megabytes(needed)}, but ${megabytes(memory.freeBytes)} of memory are free`
      : undefined);
  console.log(
    verdict === undefined
      ? `runs here on ${device.provider}`
      : `does not run here on ${device.provider}: ${verdict}`,
  );
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

if (import.meta.main) await runCommand("inspect", inspect);
