// Converts a video's length in seconds to the number of frames.
import { badField } from "../request/bad_field.ts";
import type { RequestRules } from "../request/request_rules.ts";

export interface VideoLengthOptions {
  /** Frames per second. */
  fps: number;
  rules: Pick<RequestRules, "video">;
}

/**
 * Returns the number of frames that comes nearest to `seconds`. Videos are a little longer, as they start
 * with one extra frame (4 seconds at 8 frames a second: 33 frames).
 * @throws {OptionError} for models that make pictures, and for videos that are too long.
 */
export function framesOf(seconds: number, { fps, rules: { video } }: VideoLengthOptions): number {
  if (video === undefined) {
    throw badField("seconds", "takes a model that makes videos");
  }
  const { frameStep, minFrames = 1, maxFrames } = video;
  const frames = Math.max(minFrames, Math.round(seconds * fps / frameStep) * frameStep + 1);
  if (frames <= maxFrames) return frames;
  const most = Math.floor((maxFrames - 1) / fps * 1000) / 1000;
  throw badField(
    "seconds",
    `must be at most ${most} at ${fps} frames a second with this model: current value is ${seconds}`,
  );
}
