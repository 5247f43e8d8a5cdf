// `deno task batch`: draws a file of prompts into a folder of pictures, on one or more devices.
import { join } from "node:path";
import { requireReferences } from "../../request/references.ts";
import { withChosenPrompts } from "../../request/wildcards.ts";
import { completeRequest } from "../../request/complete_request.ts";
import type { HeldWeights } from "../../checkpoint/blocks/quantization_of.ts";
import type { CheckpointReading } from "../../pipeline/pipeline.ts";
import { modelInfo } from "../../model/model_info.ts";
import { readModel } from "../../model/read_model.ts";
import { BATCH_HELP, type BatchArguments, defaultExpName, parseBatchArguments } from "./batch_arguments.ts";
import { BatchBar } from "./batch_bar.ts";
import { decodeText } from "../../../protocol/wire/text.ts";
import { readPromptFile, readPrompts } from "../read_prompts.ts";
import { type BatchFailure, type BatchPlan, planBatch } from "./batch_plan.ts";
import type { Control } from "../../request/control.ts";
import { type BatchRequest, type NamedControl, stepsToRun } from "./batch_messages.ts";
import { batchSettings } from "./batch_stats.ts";
import { dealPrompts, type Dealt } from "./deal_prompts.ts";
import { controlFields, openControlImage } from "../../flags/control_flags.ts";
import { openFrames, openImages, startFields } from "../../flags/image_flags.ts";
import { type FrameImage, requireFrames } from "../../request/video_frames.ts";
import { assertWritable } from "../write_atomically.ts";

export async function batch(args: string[], signal: AbortSignal): Promise<void> {
  const options = parseBatchArguments(args);
  if (options === undefined) return console.log(BATCH_HELP);
  const { model, parts, devices, memory, calibration, json } = options;
  const { plan, output, dtype, weights } = await preparePlan(options, signal);
  const started = performance.now();
  const { todo } = plan;
  using bar = new BatchBar({ pictures: todo.length, steps: todo[0] ? stepsToRun(todo[0].request) : 0 });
  const dealt = await dealPrompts(todo, {
    model,
    parts,
    dtype,
    weights,
    memory,
    calibration,
    devices,
    threads: threadsOfEach(options),
    signal,
    onStep: () => bar.step(),
    onEnd: ({ folder, line }, { failed, missing }) =>
      bar.end(failed === undefined ? folder : `line ${line} failed`, {
        failed: failed !== undefined,
        missing,
      }),
  });
  bar[Symbol.dispose]();
  report({ output, plan, dealt, seconds: (performance.now() - started) / 1000 }, json);
}

/** Checks everything that can be checked before gigabytes are loaded. */
async function preparePlan(
  options: BatchArguments,
  signal: AbortSignal,
): Promise<{ plan: BatchPlan; output: string; dtype: string; weights: HeldWeights }> {
  const { promptFile, totalPromptNum, model, parts, devices, dtype, weights, memory, image } = options;
  const { calibration, expName, request } = options;
  const prompts = promptFile === "-"
    ? readPrompts(decodeText(await new Response(Deno.stdin.readable).bytes()), totalPromptNum)
    : readPromptFile(promptFile, totalPromptNum);
  if (prompts.length === 0) throw new RangeError(`Cannot draw as ${promptFile} holds no prompt`);
  const read = readModel(model, {
    provider: devices[0]!.provider,
    dtype,
    parts,
    weights,
    ...calibration,
  });
  const { checkpoint, reading, dtype: computeType } = read;
  // Each device's process has them too, on a stderr that nobody reads.
  for (const note of [...checkpoint.notes, ...read.warnings]) console.warn(`batch: ${note}`);
  const complete = await completion(request, { image, control: options.control, reading });
  // A wrong setting is wrong for every prompt, so report it once.
  const { sampler } = complete(" ", options.seed === -1 ? 0 : options.seed);
  const { digest } = modelInfo(model, read, memory);
  const output = join(options.outputBasePath, expName ?? defaultExpName(model, sampler.method));
  await assertWritable(join(output, "stats.json"));
  const plan = await planBatch(prompts, {
    signal,
    output,
    complete,
    seed: options.seed,
    n: options.n,
    metadata: options.metadata,
    drawSeed: () => crypto.getRandomValues(new Uint32Array(1))[0]!,
    settingsOf: (request) => batchSettings(request, { modelDigest: digest, dtype: computeType }),
  });
  return { plan, output, dtype: computeType, weights: checkpoint.held };
}

/**
 * Returns a function that completes a prompt's request.
 * The images are read once; requests carry their paths.
 */
async function completion(
  request: BatchArguments["request"],
  { image: file, control: follow, reading }: Pick<BatchArguments, "image" | "control"> & {
    reading: CheckpointReading;
  },
): Promise<(prompt: string, seed: number) => BatchRequest> {
  const { width, height } = request;
  if (reading.rules.video !== undefined) return await videoCompletion(request, { image: file, reading });
  const opened = file && await openImages(file, { width, height, rules: reading.rules });
  requireReferences(opened ?? {}, reading.rules);
  const size = { width, height, multiple: reading.rules.sizeMultiple };
  const followed = follow && await openControlImage(follow.path, { ...size, ...opened?.image });
  return (prompt, seed) => {
    const start = { ...startFields(opened, file), ...controlFields(followed, follow) };
    const { startImage, references, control, frames: _none, ...rest } = withChosenPrompts(
      completeRequest({ ...request, ...start, prompt, seed }, reading),
    );
    const named = (index: number, sha256: string) => ({ path: file!.images[index]!, sha256 });
    const complete = {
      ...rest,
      ...references && { references: references.map(({ file }, i) => named(i, file!.sha256)) },
      ...control && follow && followed && { control: namedControl(control, { ...follow, ...followed }) },
    };
    if (startImage === undefined) return complete;
    const { strength, firstStep, mask } = startImage;
    const begun = { ...named(0, opened!.sha256!), strength, firstStep };
    if (mask === undefined) return { ...complete, startImage: begun };
    const { image: _, ...masking } = mask;
    return {
      ...complete,
      startImage: { ...begun, mask: { ...masking, path: file!.mask!, sha256: opened!.mask!.sha256 } },
    };
  };
}

function namedControl(
  { image: _, ...control }: Control,
  { path, sha256 }: { path: string; sha256: string },
): NamedControl {
  return { ...control, path, sha256 };
}

/** Returns the completion of a line about a video, whose image is its first frame. */
async function videoCompletion(
  request: BatchArguments["request"],
  { image: file, reading }: Pick<BatchArguments, "image"> & { reading: CheckpointReading },
): Promise<(prompt: string, seed: number) => BatchRequest> {
  const opened = file && await openFrames(file);
  return (prompt, seed) => {
    const { startImage: _image, references: _references, control: _control, frames, ...complete } =
      withChosenPrompts(
        completeRequest({ ...request, ...opened, strength: file?.strength, prompt, seed }, reading),
      );
    requireFrames({ ...frames && { frames } }, reading.rules);
    if (frames === undefined || file === undefined) return complete;
    const named = ({ file, ...size }: FrameImage, path: string) => ({ ...size, path, sha256: file!.sha256 });
    return {
      ...complete,
      frames: {
        first: named(frames.first, file.images[0]!),
        ...frames.last && { last: named(frames.last, file.lastImage!) },
      },
    };
  };
}

/** Divides the CPU's cores among the processes. undefined lets ONNX Runtime decide. */
function threadsOfEach({ devices }: BatchArguments): number | undefined {
  if (devices.length === 1 || devices[0]!.provider !== "cpu") return undefined;
  return Math.max(1, Math.floor(navigator.hardwareConcurrency / devices.length));
}

interface Report {
  output: string;
  plan: BatchPlan;
  dealt: Dealt;
  seconds: number;
}

/**
 * Prints the summary and all failures.
 * @throws {Error} if anything failed.
 */
function report({ output, plan, dealt: { drawn, failed, lost }, seconds }: Report, json: boolean): void {
  const failures: BatchFailure[] = [...plan.refused, ...failed].sort((a, b) => a.line - b.line);
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const summary = {
    output,
    drawn: drawn.length,
    finished: plan.finished,
    failed: failures,
    lost,
    seconds,
    ...drawn.length > 0 && {
      meanTime: mean(drawn.map(({ seconds }) => seconds)),
      meanForwardCount: mean(drawn.map(({ fullPasses }) => fullPasses)),
    },
  };
  if (json) {
    console.log(JSON.stringify(summary, null, 2));
  } else {
    const { meanTime, meanForwardCount } = summary;
    const means = meanTime === undefined || meanForwardCount === undefined
      ? ""
      : `; a picture took ${meanTime.toFixed(2)} s and ${meanForwardCount.toFixed(1)} full passes`;
    console.log(
      `${output}: ${drawn.length} drawn in ${
        seconds.toFixed(1)
      } s, ${plan.finished} there before, ${failures.length} failed${means}`,
    );
  }
  for (const { line, prompt, reason } of failures) {
    console.error(
      `line ${line}, "${prompt.length > 60 ? `${prompt.slice(0, 59)}\u2026` : prompt}": ${reason}`,
    );
  }
  for (const { device, reason } of lost) console.error(`${device} could not be used: ${reason}`);
  const total = drawn.length + plan.finished + failures.length;
  if (failures.length > 0) throw new Error(`${failures.length} of ${total} prompts failed`);
  if (lost.length > 0) {
    throw new Error(`${lost.length} devices could not be used; the others drew all prompts`);
  }
}
