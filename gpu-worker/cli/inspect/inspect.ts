// `deno task inspect`: describes a checkpoint, whether it runs here, and how much memory it needs.
import { historySlots, planSteps } from "../../../sampler/mod.ts";
import { completeRequest } from "../../request/complete_request.ts";
import { BLOCK_TYPES, type BlockType } from "../../checkpoint/block_types.ts";
import type { HeldWeights } from "../../checkpoint/blocks/quantization_of.ts";
import { exactQuantization } from "../../checkpoint/blocks/repack_blocks.ts";
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import type { DescribeModelOptions } from "../../model/describe_model.ts";
import { modelInfo } from "../../model/model_info.ts";
import { isFile } from "../../model/open_checkpoint.ts";
import { parseModelName } from "../../../protocol/wire/model_name.ts";
import { describeFile, type FileDescription } from "./describe_file.ts";
import { type ReadModel, readModel } from "../../model/read_model.ts";
import { DTYPE_BYTES } from "../../runtime/dtype.ts";
import { type ProviderName, Runtime } from "../../runtime/mod.ts";
import { readDevice, WEIGHTS_HELP } from "../../flags/device_flags.ts";
import { recordingBytes } from "../calibrate/feature_products.ts";
import { peakMemoryBytes } from "../peak_memory.ts";
import { featureElements, phasesOf } from "../../pipeline/family.ts";
import { predictMemory, predictPromptBytes } from "./predict_memory.ts";
import { predictedReferences, referenceMemory } from "./reference_memory.ts";
import { MEMORY_FLAGS, type MemoryOptions, readMemoryFlags } from "../../flags/memory_flags.ts";
import { MODEL_FLAGS, MODEL_HELP, readModelName } from "../../flags/model_flags.ts";
import { PART_FLAGS, PART_HELP, partArguments, readPartFlags } from "../../flags/part_flags.ts";
import { type FlagKind, readFlags } from "../../../protocol/process/read_flags.ts";
import { guidanceBranches } from "../../request/guidance_branches.ts";
import { shortRunNote } from "../../request/short_runs.ts";
import { REMEMBERED_PROMPT_BYTES } from "../../text/remembered_prompts.ts";

const HELP = `Usage: deno task inspect [[--model] MODEL] [options]

${MODEL_HELP}
${PART_HELP}
  --device D               cpu | cuda | webgpu (cpu)
  --dtype T                float32 | float16 | bfloat16 (float32; bfloat16 on cuda)
${WEIGHTS_HELP}
  --steps N --width N --height N --num-frames N   of the run (the checkpoint's)
  --image FILE             an image to look at, for models that do; may be repeated (as many
                           of a megapixel as the model needs)
  --offload --vae-tiling   as for generate
  --json                   print one JSON object on stdout

Memory is predicted for one picture or video. Its settings are the checkpoint's, unless a flag gives another.
The first run of a checkpoint optimizes its graphs and needs somewhat more.
`;

export const INSPECT_FLAGS = {
  ...MODEL_FLAGS,
  ...PART_FLAGS,
  ...MEMORY_FLAGS,
  "model": "text-or-operand",
  "device": "text",
  "dtype": "text",
  "weights": "text",
  "steps": "number",
  "width": "number",
  "height": "number",
  "num-frames": "number",
  "image": "texts",
  "json": "switch",
  "help": "switch",
} as const satisfies Record<string, FlagKind>;

/** Memory that a run adds to this process besides the model: codecs, tokenizers, kernels, heap growth. */
const RUN_BYTES = 48 * 2 ** 20;

const HELD: readonly HeldWeights[] = ["as-stored", "int8", "int4"];

/** Components that some checkpoints contain and no run loads. */
const UNLOADED = ["safety_checker", "image_encoder"];
const FIRST_FRAMES = {
  required: "every video needs a first frame (--image)",
  optional: "a video may have a first frame (--image)",
} as const;
const LAST_FRAMES = {
  required: " and a last frame (--last-image)",
  optional: " and may have a last frame (--last-image)",
  none: "",
} as const;
/** The graph of an image encoder that runs do load. */
const VISION = "vision";

interface RunSize extends MemoryOptions {
  steps: number | undefined;
  width: number | undefined;
  height: number | undefined;
  /** Frames of a video. */
  numFrames: number | undefined;
  /** Paths of images to look at. */
  images: readonly string[];
}

export async function inspect(args: string[]): Promise<void> {
  const flags = readFlags(args, INSPECT_FLAGS);
  if (flags.help) return console.log(HELP);
  const size = {
    ...flags,
    ...readMemoryFlags(flags),
    numFrames: flags["num-frames"],
    images: flags.image,
  };
  const model = readModelName(flags);
  const parts = readPartFlags(flags);
  const { name } = parseModelName(model);
  const file = isFile(name) ? describeFile(name, parts) : undefined;
  // The kind of the file helps most where the rest of the model is missing.
  if (file !== undefined && !flags.json) printFile(name, file);
  const report = { ...file && { file }, ...await describe(model, { ...readDevice(flags), parts }, size) };
  if (flags.json) return console.log(JSON.stringify(report, null, 2));
  print(report);
  const command = ["deno task generate", "--model", model, ...partArguments(parts), "--prompt", '"..."'];
  if (file !== undefined) console.log(`run it with \`${command.join(" ")}\``);
}

async function describe(
  model: string,
  options: DescribeModelOptions,
  { steps, width, height, numFrames, images, ...saving }: RunSize,
) {
  const { provider = "cpu" } = options;
  // Building the graphs checks the checkpoint: a contradictory one does not run.
  const read = readModel(model, options);
  const { checkpoint, dtype, reading, graphs } = read;
  const { defaults } = reading;
  const references = await predictedReferences(images, reading.rules.references);
  const size = { steps, width, height, numFrames };
  const request = completeRequest({ prompt: "", seed: 0, ...size, references }, reading);
  const rule = { ...request.sampler, phases: phasesOf(read, request) };
  const plan = planSteps(request.steps, rule);
  const slots = historySlots(plan, rule);
  const components = checkpoint.components().map(({ name, className, weights }) => {
    const entries = [...weights.values()];
    return {
      name,
      className,
      parameters: entries.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0),
      dtypes: [...new Set(entries.map(({ blocks, dtype }) => blocks ?? dtype))],
      bytes: entries.reduce((sum, { byteLength }) => sum + byteLength, 0),
      files: [...new Set(entries.map(({ path }) => path))],
    };
  });
  const { maxSequenceLength } = request;
  const loaded = loadedComponents(checkpoint, graphs);
  const branches = guidanceBranches(request, reading.rules);
  const promptBytes = predictPromptBytes({ components: loaded, maxSequenceLength }, branches);
  const elements = featureElements(read, request);
  const run = {
    dtype,
    plan,
    slots,
    featureElements: elements,
    conditioningElements: reading.conditioningElements?.(request) ?? 0,
    maxSequenceLength,
    decoding: reading.decoding(request, saving),
    offload: saving.offload,
    provider,
    references: referenceMemory(read, request),
  };
  const predict = (held: HeldWeights) =>
    predictMemory({ ...run, components: loadedComponents(checkpoint.withHeld(held), graphs) });
  const parts = predict(checkpoint.held);
  const conditionBytes = DTYPE_BYTES.float32 * (reading.conditionElements?.(request) ?? 0);
  const peakOf = ({ modelBytes }: typeof parts) =>
    (provider === "cpu" ? processBytes : 0) + modelBytes + conditionBytes;
  const ofFullPasses = (slots: number) =>
    predictMemory({
      ...run,
      plan: plan.map(() => "full" as const),
      slots,
      components: loadedComponents(checkpoint, graphs),
    });
  const recorded = recordingBytes({ featureElements: elements, branches, steps: request.steps });
  const problem = problemOf(provider);
  const processBytes = peakMemoryBytes() + RUN_BYTES + promptBytes;
  return {
    model,
    folder: checkpoint.folder,
    pipelineClass: checkpoint.pipelineClass,
    digest: modelInfo(model, read, saving).digest,
    ...reading.calibration && { calibration: reading.calibration.source },
    components,
    defaults,
    ...reading.rules.references && {
      references: { min: reading.rules.references.min ?? 0, max: reading.rules.references.max },
    },
    device: { provider, dtype, weights: checkpoint.held, problem },
    run: {
      steps: request.steps,
      width: request.width,
      height: request.height,
      ...reading.rules.video && { numFrames: request.numFrames, fps: request.fps },
      ...reading.rules.video?.frames && { frames: reading.rules.video.frames },
      ...request.references && { references },
      note: shortRunNote({ ...request, method: request.sampler.method }),
    },
    memory: {
      ...parts,
      historySlots: slots,
      conditionBytes,
      promptBytes,
      rememberedPromptBytes: REMEMBERED_PROMPT_BYTES,
      processBytes,
      /** Weights of all loaded components by --weights. */
      weightBytesBy: Object.fromEntries(HELD.map((held) => [held, predict(held).weightBytes])),
      recordingBytes: recorded,
      /** Memory of a run that deno task calibrate records. It keeps one feature in its history. */
      recordingPeakBytes: peakOf(ofFullPasses(1)) + recorded,
      /** Memory of the same run without a recording. */
      plainPeakBytes: peakOf(ofFullPasses(0)),
      // On a GPU the model is in the device's memory, not in the process's.
      peakBytes: peakOf(parts),
      freeBytes: Deno.systemMemoryInfo().available,
    },
  };
}

/**
 * Returns the components that a run loads, with the shapes that it holds. Only matrices that its layers hold
 * in blocks keep a quantization.
 */
function loadedComponents(checkpoint: Checkpoint, graphs: ReadModel["graphs"]) {
  const inBlocks = new Set(
    Object.values(graphs).flatMap(({ name, matrices }) =>
      matrices.map((matrix) => `${name.replace(/_trunk$/, "")} ${matrix}`)
    ),
  );
  const heldShapes = new Map<string, readonly number[]>(
    Object.values(graphs).flatMap(({ name, heldShapes }) =>
      [...heldShapes].map(([weight, shape]) => [`${name.replace(/_trunk$/, "")} ${weight}`, shape] as const)
    ),
  );
  const unloaded = VISION in graphs ? UNLOADED.filter((name) => name !== "image_encoder") : UNLOADED;
  return checkpoint.components().filter(({ name }) => !unloaded.includes(name)).map(({ name, weights }) => ({
    name,
    weights: new Map(
      [...weights].map(([tensor, entry]) => {
        const { quantization: _quantization, ...stored } = entry;
        const key = `${name} ${tensor}`;
        return [tensor, inBlocks.has(key) ? entry : { ...stored, shape: heldShapes.get(key) ?? entry.shape }];
      }),
    ),
  }));
}

/** Returns why the provider is unavailable here, or undefined. */
function problemOf(provider: ProviderName): string | undefined {
  try {
    Runtime.open({ provider })[Symbol.dispose]();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function printFile(path: string, { title, pipelineClass, has, lacks, repository }: FileDescription): void {
  console.log(`${path}: ${title}, a single file for ${pipelineClass}`);
  console.log(`  it has ${has.join(", ")}`);
  console.log(`  it lacks ${lacks.join(", ")}, which ${repository} has`);
}

function print(
  report: Awaited<ReturnType<typeof describe>>,
): void {
  const { model, folder, pipelineClass, digest, components, references, run, device, memory } = report;
  console.log(`${model}: ${pipelineClass} in ${folder}`);
  console.log(`digest ${digest}`);
  console.table(Object.fromEntries(components.map(({ name, className, parameters, dtypes, bytes }) => [
    name,
    { class: className, parameters, stored: dtypes.join(" "), size: megabytes(bytes) },
  ])));
  const video = run.numFrames === undefined ? "" : `, ${run.numFrames} frames at ${run.fps} a second`;
  const seen = (run.references ?? []).map(({ width, height }) => `${width}x${height}`);
  const after = seen.length === 0 ? "" : `, after looking at ${seen.join(", ")}`;
  console.log(`${run.steps} steps, ${run.width}x${run.height}${video}${after}:`);
  if (run.note !== undefined) console.log(`  ${run.note}`);
  if (run.frames !== undefined) {
    console.log(`  ${FIRST_FRAMES[run.frames.first]}${LAST_FRAMES[run.frames.last]}`);
  }
  if (references) {
    const { min, max } = references;
    console.log(`  looks at ${min === max ? max : `${min} to ${max}`} images (--image)`);
  }
  const held = device.weights === "as-stored" ? device.dtype : `${device.weights} and ${device.dtype}`;
  console.log(`  weights as ${held}: ${megabytes(memory.weightBytes)}`);
  for (const note of conversionNotes(components, device)) console.log(`  ${note}`);
  const choices = Object.entries(memory.weightBytesBy).map(([weights, bytes]) =>
    `${weights} ${megabytes(bytes)}`
  );
  console.log(`  by --weights: ${choices.join(", ")}`);
  if (memory.loraBytes > 0) console.log(`  to fold the LoRAs in: ${megabytes(memory.loraBytes)}`);
  console.log(`  history of ${memory.historySlots} features: ${megabytes(memory.historyBytes)}`);
  if (memory.conditionBytes > 0) console.log(`  given frames: ${megabytes(memory.conditionBytes)}`);
  console.log(`  intermediate results: ${megabytes(memory.activationBytes)}`);
  const [prompts, remembered] = [memory.promptBytes, memory.rememberedPromptBytes].map(megabytes);
  console.log(
    `  the process itself: ${megabytes(memory.processBytes)}, including ${prompts} of encoded prompts`,
  );
  console.log(`  a worker also remembers up to ${remembered} of encoded prompts`);
  const share = memory.recordingPeakBytes / memory.plainPeakBytes;
  console.log(
    `  deno task calibrate keeps ${megabytes(memory.recordingBytes)} of features on the host: ` +
      `${share.toFixed(2)} times the peak of a run with every step in full`,
  );
  const where = device.provider === "cpu" ? "in all" : "on the device";
  console.log(`  at its peak ${where}: ${megabytes(memory.peakBytes)}`);
  const verdict = device.problem ??
    (memory.peakBytes > memory.freeBytes && device.provider === "cpu"
      ? `needs ${megabytes(memory.peakBytes)}, but ${megabytes(memory.freeBytes)} of memory are free`
      : undefined);
  console.log(
    verdict === undefined
      ? `runs here on ${device.provider}`
      : `does not run here on ${device.provider}: ${verdict}`,
  );
}

/** Returns a sentence for each kind of stored weights that the device cannot use as they are. */
function conversionNotes(
  components: readonly { dtypes: readonly string[] }[],
  { weights, dtype }: { weights: HeldWeights; dtype: string },
): string[] {
  const stored = [...new Set(components.flatMap(({ dtypes }) => dtypes))];
  const fp8 = stored.filter((type) => type.startsWith("float8"));
  const rounded = stored.filter((type) => isBlockType(type) && exactQuantization(type) === undefined);
  const exact = stored.filter((type) => isBlockType(type) && exactQuantization(type) !== undefined);
  const notes: string[] = [];
  if (fp8.length > 0 && weights === "as-stored") {
    notes.push(
      `${fp8.join(", ")} is widened to ${dtype} while it is loaded; --weights int8 takes a quarter of that`,
    );
  }
  if (exact.length > 0) notes.push(`${exact.join(", ")} stays in its blocks, with the same numbers`);
  if (rounded.length > 0) {
    notes.push(
      weights === "as-stored"
        ? `${rounded.join(", ")} is decoded to float32 once; --weights int8 takes a quarter of that`
        : `${rounded.join(", ")} is rounded to ${weights} once, which adds an error of about ${
          weights === "int8" ? "0.5" : "9"
        } %`,
    );
  }
  return notes;
}

function isBlockType(type: string): type is BlockType {
  return Object.hasOwn(BLOCK_TYPES, type);
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
