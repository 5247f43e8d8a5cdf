// The events of a run, in order, as server-sent events. The type is the event's name, the id counts from 1.
import type { ApiErrorBody } from "./api_error.ts";
import type { Receipt } from "./receipt.ts";

export type RunEvent =
  /** `position` runs are before this one. Repeated whenever it moves up. */
  | { type: "queued"; position: number }
  | { type: "started" }
  /** The run lost its worker, mostly after some steps. Another worker makes it from the first step. */
  | { type: "restarted"; attempt: number }
  | StepEvent
  | { type: "preview"; preview_index: number; step_index: number; b64_json: string }
  | CompletedEvent
  | { type: "failed"; status: number; error: ApiErrorBody["error"] }
  | { type: "cancelled"; reason: CancelReason };

/** A finished sampling step. */
export interface StepEvent {
  type: "step";
  /** 0-based. */
  step_index: number;
  steps: number;
  kind: "full" | "forecast";
  sigma: number;
  /** Since denoising began. */
  elapsed_ms: number;
  /** Relative error of the forecast that this full step made unnecessary. */
  forecast_error?: number;
}

/** The result: its bytes, what they are, how they were made. Nothing follows. */
export interface CompletedEvent {
  type: "completed";
  b64_json: string;
  /** "image/png", "video/mp4". */
  content_type: string;
  /** Present for videos only. */
  stills?: VideoStills;
  receipt: Receipt;
  /** Latent tokens of the picture, for usage figures. */
  image_tokens: number;
}

/** Pictures of a video, in base64. */
export interface VideoStills {
  /** Its middle frame, as WebP. */
  thumbnail: string;
  /** Up to 25 of its frames, side by side, as JPEG. */
  spritesheet: string;
}

/**
 * "requested": by DELETE. "unwatched": nobody followed it. "draining": the worker was told to stop.
 * "superseded": somebody else makes it, as this worker was not heard of for too long.
 */
export type CancelReason = "requested" | "unwatched" | "draining" | "superseded";

/** An event with its place in the run. */
export interface NumberedEvent {
  id: number;
  event: RunEvent;
}

/** An event as it tells how far a run is: without the bytes, which are most of it. */
export type BriefEvent =
  | Exclude<RunEvent, { b64_json: string }>
  | Omit<Extract<RunEvent, { type: "preview" }>, "b64_json">
  | Omit<CompletedEvent, "b64_json" | "stills">;

export function toBrief(event: RunEvent): BriefEvent {
  if (event.type !== "preview" && event.type !== "completed") return event;
  const { b64_json: _bytes, ...rest } = event;
  if (rest.type === "preview") return rest;
  const { stills: _stills, ...brief } = rest;
  return brief;
}

/** The final event of a run. */
export type FinalEvent = Extract<RunEvent, { type: "completed" | "failed" | "cancelled" }>;

/** Returns whether nothing follows `event`. */
export function isFinal(event: RunEvent): event is FinalEvent;
export function isFinal(event: Pick<RunEvent, "type">): boolean;
export function isFinal(event: Pick<RunEvent, "type">): boolean {
  return event.type === "completed" || event.type === "failed" || event.type === "cancelled";
}

/**
 * Returns whether this attempt has ended and the run has not: its worker drains, or another has taken it
 * over.
 */
export function goesOnElsewhere(event: RunEvent): boolean {
  return event.type === "cancelled" && (event.reason === "draining" || event.reason === "superseded");
}
