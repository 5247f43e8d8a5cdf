// Copies some frames of a video's latents.
import type { VideoSize } from "./video_size.ts";

/** Returns frames `from` to `to` (exclusive) of [channels, frames, height, width], in their own memory. */
export function videoLatents(
  latents: Float32Array,
  { size: { channels, frames, height, width }, from, to }: { size: VideoSize; from: number; to: number },
): Float32Array<ArrayBuffer> {
  const area = height * width;
  const part = new Float32Array(channels * (to - from) * area);
  for (let c = 0; c < channels; c++) {
    const start = (c * frames + from) * area;
    part.set(latents.subarray(start, start + (to - from) * area), c * (to - from) * area);
  }
  return part;
}
