import type { VideoSize } from "./video_size.ts";

export interface VideoToDecode {
  size: VideoSize;
  /** [channels, frames, height, width] in the denoiser's scale. */
  data: Float32Array;
  signal?: AbortSignal | undefined;
}
