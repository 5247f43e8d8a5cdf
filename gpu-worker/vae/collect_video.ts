// Collects the frames of a video VAE as 8-bit colours, and keeps the middle frame as it is.
import type { DecodedImage } from "../media/decoded_image.ts";
import type { DecodedVideo } from "../media/decoded_video.ts";
import { toRgb } from "../media/to_rgb.ts";

export interface CollectVideoOptions {
  /** Frames of the video, at least one. */
  numFrames: number;
  /** Frames per second. */
  fps: number;
}

/**
 * Collects a video and its middle frame. Holds only one float32 frame besides the bytes.
 * @param decoded the frames; each need be valid only until the next one
 */
export async function collectVideo(
  decoded: AsyncIterable<DecodedImage>,
  { numFrames, fps }: CollectVideoOptions,
): Promise<{ image: DecodedImage; video: DecodedVideo }> {
  const frames: Uint8Array<ArrayBuffer>[] = [];
  let middle: DecodedImage | undefined;
  for await (const frame of decoded) {
    if (frames.length === numFrames >> 1) middle = { ...frame, data: frame.data.slice() };
    frames.push(toRgb(frame));
  }
  const { width, height } = middle!;
  return { image: middle!, video: { width, height, fps, frames } };
}
