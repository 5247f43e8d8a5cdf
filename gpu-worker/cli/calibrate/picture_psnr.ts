// PSNR of a picture or video against the one with every step in full.
import type { GenerateResult } from "../../pipeline/pipeline.ts";

/** The pixels of a result: 8-bit frames of a video, or values in -1..1. */
export type Pixels = Pick<GenerateResult, "image" | "video">;

/** PSNR in dB of equal pictures. */
const EQUAL = 99;

/** Returns the PSNR in dB: a video's is the mean over its frames. */
export function picturePsnr(a: Pixels, b: Pixels): number {
  if (a.video === undefined || b.video === undefined) {
    return psnr(meanSquare(a.image.data, b.image.data, clamped), 2);
  }
  const values = a.video.frames.map((frame, i) =>
    psnr(meanSquare(frame, b.video!.frames[i]!, (value) => value), 255)
  );
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function psnr(meanSquare: number, peak: number): number {
  return meanSquare === 0 ? EQUAL : Math.min(EQUAL, 10 * Math.log10(peak ** 2 / meanSquare));
}

function meanSquare(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  read: (value: number) => number,
): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (read(a[i]!) - read(b[i]!)) ** 2;
  return sum / a.length;
}

function clamped(value: number): number {
  return Math.min(1, Math.max(-1, value));
}
