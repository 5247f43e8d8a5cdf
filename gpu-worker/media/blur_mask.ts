// Blurs a mask, so that what is drawn anew fades into what is kept. The kernel is AUTOMATIC1111's, OpenCV's
// GaussianBlur.
import type { DecodedMask } from "./decode_mask.ts";

/** Blurs a mask. @param deviation standard deviation of the blur, in pixels */
export function blurMask({ width, height, data }: DecodedMask, deviation: number): Uint8Array {
  const radius = Math.trunc(2.5 * deviation + 0.5);
  const weights = Float64Array.from(
    { length: 2 * radius + 1 },
    (_, i) => Math.exp(-((i - radius) ** 2) / (2 * deviation ** 2)),
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const rows = new Float32Array(data.length);
  for (let y = 0; y < height; y++) {
    const line = { from: data, start: y * width, step: 1, length: width };
    for (let x = 0; x < width; x++) rows[y * width + x] = weighted(line, x);
  }
  const blurred = new Uint8Array(data.length);
  for (let x = 0; x < width; x++) {
    const line = { from: rows, start: x, step: width, length: height };
    for (let y = 0; y < height; y++) blurred[y * width + x] = Math.round(weighted(line, y));
  }
  return blurred;

  function weighted({ from, start, step, length }: Line, at: number): number {
    let sum = 0;
    for (let i = 0; i < weights.length; i++) {
      sum += weights[i]! * from[start + step * mirrored(at + i - radius, length)]!;
    }
    return sum / total;
  }
}

/** A row or a column of a mask. */
interface Line {
  from: ArrayLike<number>;
  start: number;
  step: number;
  length: number;
}

/**
 * Returns the place inside the mask that a place beside it repeats: the edge itself comes once
 * (BORDER_REFLECT_101).
 */
function mirrored(at: number, length: number): number {
  if (length === 1) return 0;
  const period = 2 * (length - 1);
  const place = ((at % period) + period) % period;
  return place < length ? place : period - place;
}
