// Encodes a video as MP4, animated WebP or GIF.
import type { DecodedVideo } from "./decoded_video.ts";
import { encodeAnimation } from "./encode_animation.ts";
import { encodeMp4 } from "./encode_mp4.ts";
import type { FileMetadata } from "./metadata/file_metadata.ts";

export type VideoFormat = "mp4" | "webp" | "gif";

export interface EncodeVideoOptions {
  /** @default "mp4" */
  format?: VideoFormat;
  /** Quality of MP4 and WebP, 0..100. GIF ignores it and has 256 colours per frame. @default 100 */
  compression?: number;
  /** The file's record of how it was made. @default none */
  metadata?: FileMetadata | undefined;
  /** Aborting rejects with the signal's reason and stops the encoder. */
  signal?: AbortSignal | undefined;
}

/**
 * Encodes a video.
 * @throws {RangeError} if the format cannot hold the video; see {@link encodeMp4}
 */
export async function encodeVideo(
  video: DecodedVideo,
  { format = "mp4", compression = 100, metadata, signal }: EncodeVideoOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  signal?.throwIfAborted();
  const bytes = format === "mp4"
    ? await encodeMp4(video, { compression, metadata, signal })
    : await encodeAnimation(video, { format, compression, metadata });
  signal?.throwIfAborted();
  return bytes;
}
