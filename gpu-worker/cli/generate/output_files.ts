// Reads --out: the file of a picture, the file of a video, or a video's single frames. Encodes the files.
import { basename, dirname, extname, join } from "node:path";
import { UsageError } from "../../../protocol/process/usage_error.ts";
import type { DecodedVideo } from "../../media/decoded_video.ts";
import { encodeImage, type ImageFormat } from "../../media/encode_image.ts";
import { encodeVideo, type VideoFormat } from "../../media/encode_video.ts";
import { encodeFrame } from "../../media/video_stills.ts";
import type { FileMetadata } from "../../media/metadata/file_metadata.ts";
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

/** --out of what goes to standard output, as a file of the default format. */
export const STANDARD_OUTPUT = "-";

/** Returns --out for an output that the user does not name. */
export function defaultOutput({ video }: OutputOptions): string {
  return `out/{prompt}-{seed}${video ? ".mp4" : ".png"}`;
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

/** Returns `out` for one of several pictures: FILE-<suffix>.mp4. Frames go to a folder for each. */
export function withSuffix(out: string, suffix: number): string {
  if (isFolder(out)) return `${out.replace(/[/\\]+$/, "")}-${suffix}/`;
  if (NUMBER.test(basename(out))) {
    const folder = dirname(out);
    return join(folder === "." ? `${suffix}` : `${folder}-${suffix}`, basename(out));
  }
  const extension = extname(out);
  return `${out.slice(0, out.length - extension.length)}-${suffix}${extension}`;
}

/** Returns the first file of `out`. If it can be written, the others can too. */
export function firstFile(out: string): string {
  return isFrames(out) ? frameName(out, 0) : out;
}

export interface EncodeOutputOptions {
  result: GenerateResult;
  signal: AbortSignal;
  /** The files' record of how they were made. @default none */
  metadata?: FileMetadata | undefined;
  /** Quality of formats that lose any, 0..100. @default 100 */
  compression?: number;
}

export async function encodeOutput(
  out: string,
  { result: { image, video }, signal, metadata, compression = 100 }: EncodeOutputOptions,
): Promise<OutputFile[]> {
  const options = { metadata, compression };
  if (video === undefined) {
    return [{
      path: out,
      bytes: await encodeImage(image, { format: PICTURES[extension(out)]!, ...options }),
    }];
  }
  if (isFrames(out)) return await encodeFrames(out, { video, ...options });
  const format = VIDEOS[extension(out)]!;
  return [{ path: out, bytes: await encodeVideo(video, { format, signal, ...options }) }];
}

function encodeFrames(
  out: string,
  { video, ...options }:
    & { video: DecodedVideo }
    & Required<Pick<EncodeOutputOptions, "metadata" | "compression">>,
): Promise<OutputFile[]> {
  return Promise.all(video.frames.map(async (_, index) => {
    const path = frameName(out, index);
    return {
      path,
      bytes: await encodeFrame(video, { index, format: PICTURES[extension(path)]!, ...options }),
    };
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
