// `deno task generate`: draws prompts as picture or video files, each written as soon as it is drawn.
import { completeRequest } from "../../request/complete_request.ts";
import { openPipeline } from "../../model/open_pipeline.ts";
import type { GenerateResult, ModelInfo, Pipeline } from "../../pipeline/pipeline.ts";
import type { GenerateRequest } from "../../request/generate_request.ts";
import { requireReferences } from "../../request/references.ts";
import { withChosenPrompts } from "../../request/wildcards.ts";
import { requestWarnings } from "../../request/request_warnings.ts";
import { cutWarnings } from "../../model/cut_warnings.ts";
import { type DescribedModel, describeModel } from "../../model/describe_model.ts";
import { fileMetadataOf } from "../../model/file_metadata_of.ts";
import { modelInfo } from "../../model/model_info.ts";
import type { DecodedVideo } from "../../media/decoded_video.ts";
import { encodeSafetensors, type NamedTensor } from "../../media/encode_safetensors.ts";
import { GENERATE_HELP, type GenerateArguments, parseGenerateArguments } from "./generate_arguments.ts";
import { GRAPH_CACHE_FOLDER } from "../../session/graph_cache_folder.ts";
import { WEIGHT_CACHE_FOLDER } from "../../session/weight_store.ts";
import { controlFields, openControlImage, type OpenedControl } from "../../flags/control_flags.ts";
import {
  type ImageArguments,
  type OpenedImages,
  openFrames,
  openImages,
  startFields,
} from "../../flags/image_flags.ts";
import { requireFrames } from "../../request/video_frames.ts";
import { assertOutput, defaultOutput, encodeOutput, firstFile, STANDARD_OUTPUT } from "./output_files.ts";
import { outputPaths, stillFree } from "./output_paths.ts";
import { peakMemoryBytes } from "../peak_memory.ts";
import { settleArguments, type SettledArguments } from "./settle_arguments.ts";
import { StepBar } from "./step_bar.ts";
import { summarize } from "./summarize.ts";
import { assertWritable, writeAll } from "../write_atomically.ts";

export interface GenerateOptions {
  signal: AbortSignal;
  /** Called after each picture whose files are complete. */
  onWritten?: () => void;
}

/** Draws and writes one picture after another, so that a failure or Ctrl-C keeps those before it. */
export async function generate(
  args: string[],
  { signal, onWritten = () => {} }: GenerateOptions,
): Promise<void> {
  const parsed = parseGenerateArguments(args);
  if (parsed === undefined) return console.log(GENERATE_HELP);
  const options = await settleArguments(parsed);
  const { model, parts, device } = options;
  // Check everything that can be checked before gigabytes are loaded.
  const described = describeModel(model, { ...device, parts, ...options.calibration });
  const { requests, opened, control } = await completeAll(options, described);
  const { paths, dumps } = await choosePaths(options, { requests, described });
  const info = modelInfo(model, described, options.memory);
  const warnings = [...warningsBefore(options, { requests, info, described })];
  for (const warning of warnings) console.error(`generate: ${warning}`);

  const started = performance.now();
  using pipeline = await openPipeline(model, {
    ...device,
    parts,
    ...options.memory,
    ...options.calibration,
    graphCache: GRAPH_CACHE_FOLDER,
    weightCache: WEIGHT_CACHE_FOLDER,
  });
  const load = (performance.now() - started) / 1000;
  const results: GenerateResult[] = [];
  for (const [i, request] of requests.entries()) {
    const result = await generateOne(pipeline, { request, signal });
    results.push(result);
    for (const warning of cutWarnings(result)) {
      console.error(`generate: ${warning}`);
      warnings.push(warning);
    }
    const metadata = options.metadata
      ? fileMetadataOf(request, {
        model: pipeline.model,
        imageSha256: opened?.sha256 ?? request.frames?.first.file?.sha256,
        lastFrameSha256: request.frames?.last?.file?.sha256,
        maskSha256: opened?.mask?.sha256,
        controlImageSha256: control?.sha256,
        compression: options.compression,
      })
      : undefined;
    const { compression, overwrite } = options;
    // Another command may have written there while this one drew.
    for (const chosen of [paths, dumps]) {
      if (chosen[i] !== undefined) chosen[i] = stillFree(chosen[i], chosen, { overwrite });
    }
    const files = await encodeOutput(paths[i]!, { result, signal, metadata, compression });
    const dump = dumps[i] === undefined ? [] : [{ path: dumps[i], bytes: dumpOf(result) }];
    if (options.out === STANDARD_OUTPUT) await writeToStandardOutput(files[0]!.bytes);
    else {
      await writeAll([...files, ...dump]);
      onWritten();
      if (!options.json) console.log(paths[i]);
    }
  }
  report(options, { model: pipeline.model, requests, results, paths, load, warnings });
}

/** Completes one request for each seed of each prompt. */
async function completeAll(
  options: SettledArguments,
  { reading }: DescribedModel,
): Promise<{
  requests: GenerateRequest[];
  opened: OpenedImages | undefined;
  control: OpenedControl | undefined;
}> {
  const { width, height, seed } = options.request;
  const { rules } = reading;
  const size = { width, height, multiple: rules.sizeMultiple };
  const isVideo = rules.video !== undefined;
  const opened = options.image && !isVideo
    ? await openImages(maskedAs(options.image, options.request), { width, height, rules })
    : undefined;
  requireReferences(opened ?? {}, rules);
  const control = options.control &&
    await openControlImage(options.control.path, { ...size, ...opened?.image });
  const start = {
    ...options.image && isVideo
      ? { ...await openFrames(options.image), strength: options.image.strength }
      : startFields(opened, options.image),
    ...controlFields(control, options.control),
  };
  const requests = options.prompts.flatMap((prompt) =>
    Array.from(
      { length: options.n },
      (_, i) =>
        withChosenPrompts(completeRequest({ ...options.request, ...start, prompt, seed: seed + i }, reading)),
    )
  );
  for (const request of requests) requireFrames(request, reading.rules);
  return { requests, opened, control };
}

/** Returns the images with how the file of --from used its mask, where no flag says it. */
function maskedAs(image: ImageArguments, recorded: SettledArguments["request"]): ImageArguments {
  const { maskMode = recorded.maskMode, paddingMaskCrop = recorded.paddingMaskCrop } = image;
  return { ...image, maskMode, paddingMaskCrop };
}

async function choosePaths(
  { out: given, dump, model, overwrite }: SettledArguments,
  { requests, described: { reading } }: { requests: readonly GenerateRequest[]; described: DescribedModel },
): Promise<{ paths: string[]; dumps: string[] }> {
  const kind = { video: reading.rules.video !== undefined };
  const out = given === undefined || given === STANDARD_OUTPUT ? defaultOutput(kind) : given;
  assertOutput(out, kind);
  const pictures = requests.map(({ prompt, seed, sampler }) => ({
    prompt,
    seed,
    model,
    method: sampler.method,
  }));
  const paths = outputPaths(out, pictures, { overwrite });
  const dumps = dump === undefined ? [] : outputPaths(dump, pictures, { overwrite });
  if (given === STANDARD_OUTPUT) return { paths, dumps: [] };
  for (const path of [...paths.map(firstFile), ...dumps]) await assertWritable(path);
  return { paths, dumps };
}

function warningsBefore(
  { record }: SettledArguments,
  { requests, info, described }: {
    requests: readonly GenerateRequest[];
    info: ModelInfo;
    described: DescribedModel;
  },
): Set<string> {
  const model = { ...info, description: described.reading };
  const warnings = new Set(requests.flatMap((request) => requestWarnings(request, model)));
  if (record !== undefined && record.model_digest !== info.digest) {
    warnings.add(`${info.id} is not the same here as when the file was made, so the picture may differ.`);
  }
  return warnings;
}

async function generateOne(
  pipeline: Pipeline,
  { request, signal }: { request: GenerateRequest; signal: AbortSignal },
): Promise<GenerateResult> {
  using bar = new StepBar(`seed ${request.seed}`);
  return await pipeline.generate(request, { signal, onStep: (step) => bar.show(step) });
}

async function writeToStandardOutput(bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await Deno.stdout.write(rest));
}

function dumpOf({ initialLatents, latents, image, video }: GenerateResult): Uint8Array {
  return encodeSafetensors([
    { name: "initial_latents", ...initialLatents },
    { name: "latents", ...latents },
    { name: "image", dims: [3, image.height, image.width], data: image.data },
    ...video ? [framesOf(video)] : [],
  ]);
}

function framesOf({ frames, height, width }: DecodedVideo): NamedTensor {
  const length = height * width * 3;
  const data = new Uint8Array(frames.length * length);
  for (const [i, frame] of frames.entries()) data.set(frame, i * length);
  return { name: "frames", dims: [frames.length, height, width, 3], data };
}

interface Report {
  model: ModelInfo;
  requests: readonly GenerateRequest[];
  results: readonly GenerateResult[];
  paths: readonly string[];
  load: number;
  warnings: readonly string[];
}

function report(
  { json, out }: Pick<GenerateArguments, "json" | "out">,
  { model, requests, results, paths, load, warnings }: Report,
): void {
  const summary = summarize({
    model,
    requests,
    results,
    outputs: paths,
    loadSeconds: load,
    peakMemoryBytes: peakMemoryBytes(),
    warnings: [...new Set(warnings)],
  });
  if (json) return console.log(JSON.stringify(summary, null, 2));
  const { fullPasses, method, seconds, calibration } = summary;
  const steps = results[0]!.plan.length;
  // Standard output has the picture.
  const print = out === STANDARD_OUTPUT ? console.error : console.log;
  if (calibration?.fallback !== undefined) print(`published window, as ${calibration.fallback}`);
  print(`${method}: ${fullPasses} of ${steps} steps in full, ${seconds.denoise.toFixed(2)} s of denoising`);
}
