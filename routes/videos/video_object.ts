// A job as OpenAI's clients read a video, with this project's own fields beside theirs.
import type { CompletedEvent } from "../../protocol/wire/run_event.ts";
import type { CompleteSettings } from "../../protocol/wire/run_request.ts";
import { withWarnings } from "../images/image_response.ts";
import { type JobState, RESULT_MS } from "../jobs/jobs.ts";
import type { JobRecord } from "../jobs/job_record.ts";
import type { VideoRequest } from "../requests/video_request.ts";
import { unixSeconds } from "../../protocol/wire/unix_seconds.ts";

/** The parts of a request that its video's record keeps, for remixes. Frames are too large to be kept. */
export type KeptRequest = Omit<VideoRequest, "prompt" | "image" | "last_frame" | "webhook" | "user">;

/** The fields that a video's job keeps to present the video. */
export interface VideoFacts {
  /** The name by which the request chose it. */
  model: string;
  prompt: string;
  seed: number;
  /** As asked for, or as long as it becomes. */
  seconds: string;
  /** "WIDTHxHEIGHT" */
  size: string;
  num_frames: number;
  fps: number;
  output_format: string;
  /** Sentences about unmet wishes. Records of earlier versions lack them. */
  warnings?: readonly string[];
  /** For remixes. Videos that begin with a frame, and records of earlier versions, lack it. */
  request?: KeptRequest;
  /** Id of the video that this one is a remix of. */
  remixed_from?: string;
}

/** The kind of such jobs. */
export const VIDEO = "video";

export function videoFacts(
  settings: CompleteSettings,
  { model, seconds, output_format, warnings }:
    & Pick<VideoFacts, "model" | "output_format" | "warnings">
    & { seconds: number | undefined },
): VideoFacts {
  const { num_frames = 1, fps = 1, width, height, prompt, seed } = settings;
  const length = seconds ?? Math.round(num_frames / fps * 1000) / 1000;
  return {
    model,
    prompt,
    seed,
    seconds: `${length}`,
    size: `${width}x${height}`,
    num_frames,
    fps,
    output_format,
    ...warnings && { warnings },
  };
}

export function videoObject(record: JobRecord, state: JobState) {
  const {
    model,
    prompt,
    seed,
    seconds,
    size,
    num_frames,
    fps,
    output_format,
    warnings,
    remixed_from = null,
  } = record.facts as VideoFacts;
  const { status, progress, end, receipts: [receipt] } = state;
  const completed = end?.status === "completed" ? end.at : null;
  return {
    id: videoId(record.id),
    object: "video" as const,
    created_at: unixSeconds(record.created_at),
    completed_at: completed === null ? null : unixSeconds(completed),
    expires_at: completed === null ? null : unixSeconds(completed + RESULT_MS),
    // OpenAI's videos have no state of their own for what was cancelled.
    status: status === "cancelled" ? "failed" as const : status,
    progress,
    error: end?.error ? { code: end.error.code ?? end.error.type, message: end.error.message } : null,
    model,
    prompt,
    seconds,
    size,
    remixed_from_video_id: remixed_from,
    seed,
    num_frames,
    fps,
    output_format,
    ...receipt && { receipt: withWarnings(receipt, warnings) },
  };
}

export function videoId(jobId: string): string {
  return jobId.replace(/^job_/, "video_");
}

/** Returns the id of a video's job, or "" for an id that is no video's. */
export function jobId(videoId: string): string {
  return /^video_[0-9a-f]{32}$/.test(videoId) ? videoId.replace(/^video_/, "job_") : "";
}

/** OpenAI's variants of a video's content. */
export const VARIANTS = ["video", "thumbnail", "spritesheet"] as const;
export type Variant = typeof VARIANTS[number];

export function contentOf(
  { b64_json, content_type, stills }: CompletedEvent,
  variant: Variant,
): { bytes: Uint8Array<ArrayBuffer>; type: string } | undefined {
  switch (variant) {
    case "video":
      return { bytes: Uint8Array.fromBase64(b64_json), type: content_type };
    case "thumbnail":
      return stills && { bytes: Uint8Array.fromBase64(stills.thumbnail), type: "image/webp" };
    case "spritesheet":
      return stills && { bytes: Uint8Array.fromBase64(stills.spritesheet), type: "image/jpeg" };
    default:
      throw new TypeError(`Cannot deliver variant ${variant satisfies never}`);
  }
}
