// Encodes a video as animated WebP or GIF with libvips (npm:sharp), off the
// JavaScript thread. Both loop forever.
import sharp from "sharp";
import type { DecodedVideo } from "./decoded_video.ts";
import { embedMetadata } from "./metadata/embed_metadata.ts";
import type { FileMetadata } from "./metadata/file_metadata.ts";

export interface EncodeAnimationOptions {
  format: "webp" | "gif";
  /** Quality of WebP, 0..100. @default 100 */
  compression?: number;
  /** The file's record of how it was made. @default none */
  metadata?: FileMetadata | undefined;
}

/** Time unit of a GIF in milliseconds. WebP counts in milliseconds. */
const GIF_TICK_MS = 10;
/** Shortest frame of a GIF. Browsers show shorter frames for a tenth of a second. */
const GIF_MIN_MS = 2 * GIF_TICK_MS;

/** Encodes the frames. WebP merges a frame with an equal frame before it. */
export async function encodeAnimation(
  { width, height, fps, frames }: DecodedVideo,
  { format, compression = 100, metadata }: EncodeAnimationOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const strip = new Uint8Array(frames.length * height * width * 3);
  frames.forEach((frame, index) => strip.set(frame, index * frame.length));
  const raw = { width, height: height * frames.length, channels: 3, pageHeight: height } as const;
  const pages = sharp(strip, { raw, limitInputPixels: false });
  const timing = { loop: 0, delay: delaysMs(frames.length, { fps, format }) };
  const encoded = format === "gif"
    ? pages.gif({ ...timing, keepDuplicateFrames: true })
    : pages.webp({ ...timing, quality: Math.max(1, compression) });
  const file = Uint8Array.from(await encoded.toBuffer());
  return metadata ? embedMetadata(file, { format, size: { width, height }, metadata }) : file;
}

/**
 * Returns the duration of each frame. Each frame ends at the nearest tick, so
 * that rounding errors do not add up.
 */
function delaysMs(count: number, { fps, format }: { fps: number; format: "webp" | "gif" }): number[] {
  const tick = format === "gif" ? GIF_TICK_MS : 1;
  const end = (index: number) => Math.round(index * 1000 / fps / tick) * tick;
  const least = format === "gif" ? GIF_MIN_MS : 1;
  return Array.from({ length: count }, (_, index) => Math.max(least, end(index + 1) - end(index)));
}
