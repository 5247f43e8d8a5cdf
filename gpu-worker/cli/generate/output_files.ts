// Reads --out: the file of a picture, the file of a video, or a video's single frames. Encodes the files.
import { basename, dirname, extname, join } from "node:path";
import { UsageError } from "../../../protocol/process/usage_error.ts";
import type { DecodedVideo } from "../../media/decoded_video.ts";
import { encodeImage, type ImageFormat } from "../../media/encode_image.ts";
import { encodeVideo, type VideoFormat } from "../../media/encode_video.ts";
import { encodeFrame } from "../../media/video_stills.ts";
import type { GenerateResult } from "../../pipeline/pipeline.ts";

export interface OutputFile {
  path: string;
  bytes: Uint8Array;
}

export interface OutputOptions {
  /** Whether the model makes videos. */
  video: boolean;
}

const PICTURES: Record<string, ImageFormat> = {
  ".png": "png",
  ".jpg": "jpeg",
  ".jpeg": "jpeg",
  ".webp": "webp",
};
const VIDEOS: Record<string, VideoFormat> = { ".mp4": "mp4", ".webp": "webp", ".gif": "gif" };
/** Name of the frames in a folder: numbered from 1, in ffmpeg's notation. */
const FRAME_NAME = "%04d.png";
const NUMBER = /%(?:0(\d))?d/;

/** Returns the file extension for an output that the user does not name. */
export function defaultExtension({ video }: OutputOptions): string {
  return video ? ".mp4" : ".png";
}

/**
 * Checks --out.
 * @throws {UsageError} if `out` names no format that the model makes
 */
export function assertOutput(out: string, { video }: OutputOptions): void {
  const extension = extname(out).toLowerCase();
  if (!video) {
    if (extension in PICTURES) return;
    throw new UsageError(`--out must end in ${Object.keys(PICTURES).join(", ")}: current value is '${out}'`);
  }
  if (isFrames(out) ? isFolder(out) || extension in PICTURES : extension in VIDEOS) return;
  throw new UsageError(
    `--out must end in ${
      Object.keys(VIDEOS).join(", ")
    }, or, for frames one by one, in / or as frames/%04d.png ` +
      `does, with a model that makes videos: current value is '${out}'`,
  );
}

/** Returns `out` for one of several seeds: FILE-<seed>.mp4. Frames go to a folder per seed. */
export function ofSeed(out: string, seed: number): string {
  if (isFolder(out)) return `${out.replace(/[/\\]+$/, "")}-${seed}/`;
  if (NUMBER.test(basename(out))) {
    const folder = dirname(out);
    return join(folder === "." ? `${seed}` : `${folder}-${seed}`, basename(out));
  }
  const extension = extname(out);
  return `${out.slice(0, out.length - extension.length)}-${seed}${extension}`;
}

/** Returns the first file of `out`. If it can be written, the others can too. */
export function firstFile(out: string): string {
  return isFrames(out) ? frameName(out, 0) : out;
}

export async function encodeOutput(
  out: string,
  { result: { image, video }, signal }: { result: GenerateResult; signal: AbortSignal },
): Promise<OutputFile[]> {
  if (video === undefined) {
    return [{ path: out, bytes: await encodeImage(image, { format: PICTURES[extension(out)]! }) }];
  }
  if (isFrames(out)) return await encodeFrames(out, video);
  return [{ path: out, bytes: await encodeVideo(video, { format: VIDEOS[extension(out)]!, signal }) }];
}

function encodeFrames(out: string, video: DecodedVideo): Promise<OutputFile[]> {
  return Promise.all(video.frames.map(async (_, index) => {
    const path = frameName(out, index);
    return { path, bytes: await encodeFrame(video, { index, format: PICTURES[extension(path)]! }) };
  }));
}

function frameName(out: string, index: number): string {
  const [folder, name] = isFolder(out) ? [out, FRAME_NAME] : [dirname(out), basename(out)];
  const number = String(index + 1);
  return join(folder, name.replace(NUMBER, (_, digits) => number.padStart(Number(digits ?? 0), "0")));
}

function isFrames(out: string): boolean {
  return isFolder(out) || NUMBER.test(basename(out));
}

function isFolder(out: string): boolean {
  return /[/\\]$/.test(out);
}

function extension(path: string): string {
  return extname(path).toLowerCase();
}
