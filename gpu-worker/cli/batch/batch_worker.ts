// A process of `deno task batch`: loads the model on one
// device, then draws the tasks on stdin until stdin ends.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { TextLineStream } from "@std/streams/text-line-stream";
import { encodeImage } from "../../media/encode_image.ts";
import { encodeVideo } from "../../media/encode_video.ts";
import { cutWarnings } from "../../model/cut_warnings.ts";
import { fileMetadataOf } from "../../model/file_metadata_of.ts";
import { openPipeline } from "../../model/open_pipeline.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { GenerateRequest } from "../../request/generate_request.ts";
import type { ReferenceImage } from "../../request/references.ts";
import { requestWarnings } from "../../request/request_warnings.ts";
import type { Control } from "../../request/control.ts";
import type { VideoFrames } from "../../request/video_frames.ts";
import type {
  BatchEvent,
  BatchRequest,
  BatchTask,
  NamedControl,
  NamedFile,
  NamedFrames,
  NamedStartImage,
} from "./batch_messages.ts";
import { batchStats } from "./batch_stats.ts";
import { readDevice } from "../../flags/device_flags.ts";
import { GRAPH_CACHE_FOLDER } from "../../session/graph_cache_folder.ts";
import { WEIGHT_CACHE_FOLDER } from "../../session/weight_store.ts";
import { openControlImage } from "../../flags/control_flags.ts";
import { openFrames, openImages, openReference } from "../../flags/image_flags.ts";
import { CALIBRATION_FLAGS, readCalibrationFlags } from "../../flags/calibration_flags.ts";
import { MEMORY_FLAGS, readMemoryFlags } from "../../flags/memory_flags.ts";
import { PART_FLAGS, readPartFlags } from "../../flags/part_flags.ts";
import { readFlags } from "../../../protocol/process/read_flags.ts";
import { runCommand } from "../../../protocol/process/run_command.ts";
import { writeAll } from "../write_atomically.ts";

const encoder = new TextEncoder();

async function batchWorker(args: string[], signal: AbortSignal): Promise<void> {
  const { model = "", "device-id": deviceId, threads, ...flags } = readFlags(args, {
    model: "text",
    device: "text",
    "device-id": "number",
    dtype: "text",
    weights: "text",
    threads: "number",
    ...MEMORY_FLAGS,
    ...PART_FLAGS,
    ...CALIBRATION_FLAGS,
  });
  using pipeline = await openPipeline(model, {
    ...readDevice(flags),
    ...readMemoryFlags(flags),
    parts: readPartFlags(flags),
    ...readCalibrationFlags(flags),
    ...deviceId !== undefined && { deviceId },
    ...threads !== undefined && { intraOpThreads: threads },
    graphCache: GRAPH_CACHE_FOLDER,
    weightCache: WEIGHT_CACHE_FOLDER,
  });
  const name = deviceId === undefined ? flags.device ?? "cpu" : `${flags.device}:${deviceId}`;
  tell({ type: "ready" });
  const lines: ReadableStream<string> = Deno.stdin.readable
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  for await (const line of lines) {
    const task: BatchTask = JSON.parse(line);
    try {
      tell(await draw(pipeline, { task, device: name, signal }));
    } catch (error) {
      signal.throwIfAborted();
      tell({ type: "failed", reason: error instanceof Error ? error.message : String(error) });
    }
  }
}

/**
 * Draws one picture and writes its files. An interruption leaves
 * no file or all of them. A video's image.png is one frame.
 */
async function draw(
  pipeline: Pipeline,
  { task: { folder, request, settings, metadata: isTold }, device, signal }: {
    task: BatchTask;
    device: string;
    signal: AbortSignal;
  },
): Promise<BatchEvent> {
  const complete = await withImages(request);
  const metadata = isTold
    ? fileMetadataOf(complete, {
      model: pipeline.model,
      imageSha256: request.startImage?.sha256 ?? request.frames?.first.sha256,
      lastFrameSha256: request.frames?.last?.sha256,
      maskSha256: request.startImage?.mask?.sha256,
      controlImageSha256: request.control?.sha256,
    })
    : undefined;
  const result = await pipeline.generate(complete, {
    signal,
    onStep: () => tell({ type: "step" }),
  });
  removeParts(folder);
  const warnings = [
    ...requestWarnings(complete, { ...pipeline.model, description: pipeline.description }),
    ...cutWarnings(result),
  ];
  const stats = batchStats({ request, result }, { settings, model: pipeline.model.id, device, warnings });
  await writeAll([
    ...result.video
      ? [{ path: join(folder, "video.mp4"), bytes: await encodeVideo(result.video, { metadata }) }]
      : [],
    { path: join(folder, "image.png"), bytes: await encodeImage(result.image, { metadata }) },
    { path: join(folder, "stats.json"), bytes: encoder.encode(JSON.stringify(stats, null, 2) + "\n") },
  ]);
  const fullPasses = result.plan.filter((kind) => kind === "full").length;
  return { type: "drawn", seconds: result.seconds.total, fullPasses };
}

/**
 * Decodes the files that `request` names, and checks that they have not changed since the batch was planned.
 */
async function withImages(
  { startImage, frames, references, control: named, ...rest }: BatchRequest,
): Promise<GenerateRequest> {
  if (frames !== undefined) return { ...rest, frames: await withFiles(frames) };
  const request = {
    ...rest,
    ...references && { references: await openReferences(references) },
    ...named && { control: await openControl(named, rest) },
  };
  return await withStartImage({ ...request, startImage });
}

async function openControl(
  { path, sha256, ...control }: NamedControl,
  size: Pick<GenerateRequest, "width" | "height">,
): Promise<Control> {
  const { image, sha256: found } = await openControlImage(path, { ...size, multiple: 1 });
  if (found !== sha256) throw new Error(`Cannot follow ${path} as it has changed`);
  return { ...control, image };
}

async function withStartImage(
  { startImage, ...request }: Omit<GenerateRequest, "startImage"> & {
    startImage: NamedStartImage | undefined;
  },
): Promise<GenerateRequest> {
  if (startImage === undefined) return request;
  const { path, sha256, mask: named, ...rest } = startImage;
  const opened = await openImages(
    {
      images: [path],
      mask: named?.path,
      maskMode: named?.mode,
      paddingMaskCrop: named?.paddingMaskCrop,
    },
    { ...request, rules: { sizeMultiple: 1 } },
  );
  const [image, { sha256: found, mask }] = [opened.image!, opened];
  if (found !== sha256) throw new Error(`Cannot start from ${path} as it has changed`);
  if (named === undefined || mask === undefined) return { ...request, startImage: { ...rest, image } };
  const { path: maskPath, sha256: maskSha256, ...masking } = named;
  if (mask.sha256 !== maskSha256) throw new Error(`Cannot draw in the mask ${maskPath} as it has changed`);
  return { ...request, startImage: { ...rest, image, mask: { ...masking, image: mask.image } } };
}

async function withFiles({ first, last }: NamedFrames): Promise<VideoFrames> {
  const { firstFrame, lastFrame } = await openFrames({ images: [first.path], lastImage: last?.path });
  for (const [named, opened] of [[first, firstFrame], [last, lastFrame]] as const) {
    if (named?.sha256 === opened?.file?.sha256) continue;
    throw new Error(`Cannot start from ${named!.path} as it has changed`);
  }
  return { first: firstFrame, ...lastFrame && { last: lastFrame } };
}

async function openReferences(references: readonly NamedFile[]): Promise<ReferenceImage[]> {
  return await Promise.all(references.map(async ({ path, sha256 }) => {
    const image = await openReference(path);
    if (image.file!.sha256 !== sha256) throw new Error(`Cannot look at ${path} as it has changed`);
    return image;
  }));
}

/** Removes partial files that a killed process has left. */
function removeParts(folder: string): void {
  if (!existsSync(folder)) return;
  for (const { name } of Deno.readDirSync(folder)) {
    if (name.endsWith(".part")) Deno.removeSync(join(folder, name));
  }
}

function tell(event: BatchEvent): void {
  Deno.stdout.writeSync(encoder.encode(JSON.stringify(event) + "\n"));
}

if (import.meta.main) await runCommand("batch", batchWorker);
