// The text of `deno task inspect`.
import { BLOCK_TYPES, type BlockType } from "../../checkpoint/block_types.ts";
import type { HeldWeights } from "../../checkpoint/blocks/quantization_of.ts";
import { exactQuantization } from "../../checkpoint/blocks/repack_blocks.ts";
import type { FileDescription } from "./describe_file.ts";
import type { Inspection } from "./inspect_model.ts";
import { megabytes } from "../megabytes.ts";

const FIRST_FRAMES = {
  required: "every video needs a first frame (--image)",
  optional: "a video may have a first frame (--image)",
} as const;
const LAST_FRAMES = {
  required: " and a last frame (--last-image)",
  optional: " and may have a last frame (--last-image)",
  none: "",
} as const;

/** Prints the kind of a single file, and the parts that it has and lacks. */
export function printFile(
  path: string,
  { title, pipelineClass, has, lacks, repository }: FileDescription,
): void {
  console.log(`${path}: ${title}, a single file for ${pipelineClass}`);
  console.log(`  it has ${has.join(", ")}`);
  console.log(`  it lacks ${lacks.join(", ")}, which ${repository} has`);
}

/** Prints an inspection for people. */
export function printInspection(report: Inspection): void {
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
