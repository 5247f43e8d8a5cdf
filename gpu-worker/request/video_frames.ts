// Image to video: the frames that a video begins and ends with. Source: diffusers' WanImageToVideoPipeline
// and HunyuanVideoImageToVideoPipeline, and the size that their examples give a video.
import type { ImageSize } from "../media/decoded_image.ts";
import { badField } from "./bad_field.ts";

/** An image, in the size of its file after EXIF rotation. Its file can wait until the run begins. */
export interface FrameImage extends ImageSize {
  file?: FrameFile;
}

export interface FrameFile {
  bytes: Uint8Array;
  /** SHA-256 in hex. */
  sha256: string;
}

/** The frames that a request gives. They are resized to the video's size. */
export interface VideoFrames {
  first: FrameImage;
  /** @default the video ends as it likes */
  last?: FrameImage;
}

/** Which frames a model takes. */
export interface FrameRules {
  /** Whether every video needs a first frame. */
  first: "required" | "optional";
  last: "required" | "optional" | "none";
}

/** The frames' fields of a request. */
export interface PartialFrames {
  firstFrame?: FrameImage | undefined;
  lastFrame?: FrameImage | undefined;
}

/**
 * Checks the frames of a request. `requireFrames` checks that none is missing.
 * @returns undefined for a request without frames
 * @throws {OptionError} naming the field, the rule and the value.
 */
export function completeFrames(
  { firstFrame: first, lastFrame: last }: PartialFrames,
  { rules, isVideo, sizeMultiple }: {
    rules: FrameRules | undefined;
    isVideo: boolean;
    /** Smallest side of a video. */
    sizeMultiple: number;
  },
): VideoFrames | undefined {
  if (first !== undefined && rules === undefined) {
    throw badField("firstFrame", `must be absent with this model, which ${draws(isVideo)} from text alone`);
  }
  if (last !== undefined && (rules === undefined || rules.last === "none")) {
    const kind = rules === undefined ? `${draws(isVideo)} from text alone` : "takes a first frame alone";
    throw badField("lastFrame", `must be absent with this model, which ${kind}`);
  }
  if (first === undefined) {
    if (last === undefined) return undefined;
    throw badField("lastFrame", (quote) => `takes ${quote("firstFrame")}: there is none`);
  }
  for (const [field, frame] of [["firstFrame", first], ["lastFrame", last]] as const) {
    if (frame === undefined || Math.min(frame.width, frame.height) >= sizeMultiple) continue;
    throw badField(
      field,
      `must have at least ${sizeMultiple}x${sizeMultiple} pixels: it is ${frame.width}x${frame.height}`,
    );
  }
  return { first, ...last && { last } };
}

function draws(isVideo: boolean): string {
  return isVideo ? "makes videos" : "draws pictures";
}

/**
 * Checks that a request has the frames that its model cannot do without.
 * @throws {OptionError}
 */
export function requireFrames(
  { frames }: { frames?: VideoFrames },
  { video }: { video?: { frames?: FrameRules } },
): void {
  const { first, last } = video?.frames ?? {};
  if (first === "required" && frames === undefined) {
    throw badField("firstFrame", "must be given with this model, which makes videos from a first frame");
  }
  if (last === "required" && frames !== undefined && frames.last === undefined) {
    throw badField(
      "lastFrame",
      "must be given with this model, which makes videos between a first and a last frame",
    );
  }
}

/** Facts that decide a video's size if the request leaves it open. */
export interface FrameSizeOptions {
  /** The model's own size: about its number of pixels. */
  width: number;
  height: number;
  sizeMultiple: number;
  maxSide: number;
}

/**
 * Returns the size of a video in the proportions of its first frame, with about as many pixels as the model's
 * own size.
 */
export function videoSizeOf(
  own: ImageSize,
  { width, height, sizeMultiple, maxSide }: FrameSizeOptions,
  given: Partial<Record<"width" | "height", number | undefined>> = {},
): ImageSize {
  const shape = own.height / own.width;
  const fit = (side: number) => {
    const limit = Math.floor(maxSide / sizeMultiple) * sizeMultiple;
    return Math.min(limit, Math.max(sizeMultiple, Math.floor(side / sizeMultiple) * sizeMultiple));
  };
  if (given.width !== undefined) {
    return { width: given.width, height: given.height ?? fit(Math.round(given.width * shape)) };
  }
  if (given.height !== undefined) {
    return { width: fit(Math.round(given.height / shape)), height: given.height };
  }
  const area = width * height;
  return {
    width: fit(Math.round(Math.sqrt(area / shape))),
    height: fit(Math.round(Math.sqrt(area * shape))),
  };
}
