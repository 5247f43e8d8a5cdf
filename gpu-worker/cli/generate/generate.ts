// `deno task generate`: draws one prompt as one or more picture or video files.
import { completeRequest } from "../../request/complete_request.ts";
import { openPipeline } from "../../model/open_pipeline.ts";
import type { GenerateResult, ModelInfo, Pipeline } from "../../pipeline/pipeline.ts";
import type { GenerateRequest } from "../../request/generate_request.ts";
import { describeModel } from "../../model/describe_model.ts";
import type { DecodedVideo } from "../../media/decoded_video.ts";
import { encodeSafetensors, type NamedTensor } from "../../media/encode_safetensors.ts";
import {
  defaultOutput,
  GENERATE_HELP,
  type GenerateArguments,
  parseGenerateArguments,
} from "./generate_arguments.ts";
import { GRAPH_CACHE_FOLDER } from "../../session/graph_cache_folder.ts";
import { WEIGHT_CACHE_FOLDER } from "../../session/weight_store.ts";
import { openImage } from "../../flags/image_flags.ts";
import { assertOutput, defaultExtension, encodeOutput, firstFile, ofSeed } from "./output_files.ts";
import { peakMemoryBytes } from "../peak_memory.ts";
import { StepBar } from "./step_bar.ts";
import { summarize } from "./summarize.ts";
import { assertWritable, writeAll } from "../write_atomically.ts";

/** Generates every picture before the first file is written, so that a failure or Ctrl-C leaves nothing behind. */
export async function generate(args: string[], signal: AbortSignal): Promise<void> {
  const options = parseGenerateArguments(args);
  if (options === undefined) return console.log(GENERATE_HELP);
  const { model, parts, device } = options;
  // Check everything that can be checked before gigabytes are loaded.
  const { reading } = describeModel(model, { ...device, parts });
  const { width, height, seed } = options.request;
  const size = { width, height, multiple: reading.rules.sizeMultiple };
  const start = options.image &&
    { image: (await openImage(options.image, size)).image, strength: options.image.strength };
  const request = { ...options.request, ...start };
  const requests = Array.from(
    { length: options.n },
    (_, i) => completeRequest({ ...request, seed: seed + i }, reading),
  );
  const kind = { video: reading.rules.video !== undefined };
  const out = options.out ?? defaultOutput(request, defaultExtension(kind));
  assertOutput(out, kind);
  const paths = outputPaths(out, requests);
  const dumps = options.dump === undefined ? [] : outputPaths(options.dump, requests);
  for (const path of [...paths.map(firstFile), ...dumps]) await assertWritable(path);

  const started = performance.now();
  using pipeline = await openPipeline(model, {
    ...device,
    parts,
    ...options.memory,
    graphCache: GRAPH_CACHE_FOLDER,
    weightCache: WEIGHT_CACHE_FOLDER,
  });
  const load = (performance.now() - started) / 1000;
  const results: GenerateResult[] = [];
  for (const request of requests) results.push(await generateOne(pipeline, { request, signal }));
  const files = await Promise.all(
    results.map((result, i) => encodeOutput(paths[i]!, { result, signal })),
  );
  await writeAll([
    ...files.flat(),
    ...dumps.map((path, i) => ({ path, bytes: dumpOf(results[i]!) })),
  ]);
  report(options, { model: pipeline.model, requests, results, paths, load });
}

async function generateOne(
  pipeline: Pipeline,
  { request, signal }: { request: GenerateRequest; signal: AbortSignal },
): Promise<GenerateResult> {
  using bar = new StepBar(`seed ${request.seed}`);
  return await pipeline.generate(request, { signal, onStep: (step) => bar.show(step) });
}

/** Returns FILE for one picture, or FILE-<seed> for each of several. */
function outputPaths(out: string, requests: readonly GenerateRequest[]): string[] {
  return requests.length === 1 ? [out] : requests.map(({ seed }) => ofSeed(out, seed));
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
}

function report({ json }: GenerateArguments, { model, requests, results, paths, load }: Report): void {
  const summary = summarize({
    model,
    requests,
    results,
    outputs: paths,
    loadSeconds: load,
    peakMemoryBytes: peakMemoryBytes(),
  });
  if (json) return console.log(JSON.stringify(summary, null, 2));
  const { fullPasses, method, seconds } = summary;
  const steps = results[0]!.plan.length;
  for (const path of paths) console.log(path);
  console.log(
    `${method}: ${fullPasses} of ${steps} steps in full, ${seconds.denoise.toFixed(2)} s of denoising`,
  );
}
