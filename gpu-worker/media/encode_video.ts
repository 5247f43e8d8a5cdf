// Encodes a video as MP4, animated WebP or GIF.
import type { DecodedVideo } from "./decoded_video.ts";
import { encodeAnimation } from "./encode_animation.ts";
import { encodeMp4 } from "./encode_mp4.ts";

export type VideoFormat = "mp4" | "webp" | "gif";

export interface EncodeVideoOptions {
  /** @default "mp4" */
  format?: VideoFormat;
  /** Quality of MP4 and WebP, 0..100. A GIF has 256 colors a frame whatever it says. @default 100 */
  compression?: number;
  /** Aborting rejects with the signal's reason and ends what encodes. */
  signal?: AbortSignal | undefined;
}

/** @throws {RangeError} for what the format cannot hold, as {@link encodeMp4} says */
export async function encodeVideo(
  video: DecodedVideo,
  { format = "mp4", compression = 100, signal }: EncodeVideoOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  signal?.throwIfAborted();
  const bytes = format === "mp4"
    ? await encodeMp4(video, { compression, signal })
    : await encodeAnimation(video, { format, compression });
  signal?.throwIfAborted();
  return bytes;
}
