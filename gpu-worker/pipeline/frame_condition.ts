// How a family encodes the frames that a video begins or ends with.
import type { VideoFrames } from "../request/video_frames.ts";
import type { VideoSize } from "../vae/video_size.ts";

/** The inputs that a video's given frames add to a run. */
export interface FrameCondition {
  /** Channels that the denoiser sees beside its latents, [channels, frames, height, width]. */
  channels?: Float32Array;
  /** Latents of the first frames, which stay as they are, [channels, their frames, height, width]. */
  held?: Float32Array;
  /** A vision encoder's states of the frames, [tokens, features]. */
  states?: Float32Array;
  /** Returns the latents that the run begins with. @default the noise */
  begin?(noise: Float32Array): Float32Array<ArrayBuffer>;
}

/** A run whose frames are to be encoded. */
export interface FramesToPrepare {
  /** Undefined for a video that begins from text alone. */
  frames: VideoFrames | undefined;
  /** Size of the latents. */
  size: VideoSize;
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
  signal: AbortSignal | undefined;
}

/** Encodes the frames of a run. @throws {ImageError} for a damaged image. */
export type PrepareFrames = (run: FramesToPrepare) => Promise<FrameCondition>;
