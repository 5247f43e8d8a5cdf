// Frames as they come out of a video VAE, to what a pipeline returns: eight bits a colour, and the middle frame as it is.
import type { DecodedImage } from "../media/decoded_image.ts";
import type { DecodedVideo } from "../media/decoded_video.ts";
import { toRgb } from "../media/to_rgb.ts";

export interface CollectVideoOptions {
  /** Frames of the video, at least one. */
  numFrames: number;
  /** Frames a second. */
  fps: number;
}

/**
 * Holds one float32 frame beside the bytes.
 * @param decoded its frames need be valid only until the next one
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
