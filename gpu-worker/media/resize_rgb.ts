// Resizes 8-bit pictures exactly as Pillow does (Image.resize). diffusers and transformers resize with it,
// and libvips differs by a few levels, which a text encoder would see.
import type { ImageSize } from "./decoded_image.ts";

/** 8-bit pixels, [height, width, 3]. */
export interface RgbImage extends ImageSize {
  rgb: Uint8Array;
}

export type ResizeKernel = "lanczos" | "bicubic";

export interface ResizeRgbOptions extends ImageSize {
  kernel: ResizeKernel;
}

interface Kernel {
  /** Pixels on each side of the middle, when enlarging. */
  support: number;
  weigh(distance: number): number;
}

const KERNELS: Record<ResizeKernel, Kernel> = {
  lanczos: { support: 3, weigh: (x) => Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0 },
  bicubic: { support: 2, weigh: cubic },
};
/** Pillow's fixed point: weights are whole multiples of 2^-22. */
const PRECISION = 22;

/** Returns the picture in another size. */
export function resizeRgb(image: RgbImage, { width, height, kernel }: ResizeRgbOptions): RgbImage {
  const wide = width === image.width
    ? image.rgb
    : resizeLines(image.rgb, { from: image.width, to: width, kernel: KERNELS[kernel], lines: image.height });
  if (height === image.height) return { width, height, rgb: wide };
  // Columns become lines, so that both directions share the code.
  const turned = transpose(wide, { width, height: image.height });
  const high = resizeLines(turned, { from: image.height, to: height, kernel: KERNELS[kernel], lines: width });
  return { width, height, rgb: transpose(high, { width: height, height: width }) };
}

interface LinesOptions {
  from: number;
  to: number;
  kernel: Kernel;
  lines: number;
}

function resizeLines(pixels: Uint8Array, { from, to, kernel, lines }: LinesOptions): Uint8Array {
  const resized = new Uint8Array(lines * to * 3);
  const half = 2 ** (PRECISION - 1);
  for (const [place, { first, weights }] of weightsOf({ from, to, kernel }).entries()) {
    for (let line = 0; line < lines; line++) {
      let [red, green, blue] = [half, half, half];
      let at = (line * from + first) * 3;
      for (let i = 0; i < weights.length; i++, at += 3) {
        const weight = weights[i]!;
        red += pixels[at]! * weight;
        green += pixels[at + 1]! * weight;
        blue += pixels[at + 2]! * weight;
      }
      const out = (line * to + place) * 3;
      resized[out] = clamp(red >> PRECISION);
      resized[out + 1] = clamp(green >> PRECISION);
      resized[out + 2] = clamp(blue >> PRECISION);
    }
  }
  return resized;
}

/**
 * Returns the first pixel and the weights of each place (Pillow's precompute_coeffs and
 * normalize_coeffs_8bpc).
 */
function weightsOf(
  { from, to, kernel }: Omit<LinesOptions, "lines">,
): { first: number; weights: Int32Array }[] {
  const scale = from / to;
  const stretch = Math.max(1, scale);
  const support = kernel.support * stretch;
  return Array.from({ length: to }, (_, place) => {
    const middle = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(middle - support + 0.5));
    const end = Math.min(from, Math.trunc(middle + support + 0.5));
    const plain = Array.from(
      { length: end - first },
      (_, i) => kernel.weigh((i + first - middle + 0.5) * (1 / stretch)),
    );
    const sum = plain.reduce((sum, weight) => sum + weight, 0);
    const weights = Int32Array.from(plain, (weight) => {
      const fixed = (sum === 0 ? weight : weight / sum) * 2 ** PRECISION;
      return Math.trunc(fixed + (fixed < 0 ? -0.5 : 0.5));
    });
    return { first, weights };
  });
}

function transpose(pixels: Uint8Array, { width, height }: ImageSize): Uint8Array {
  const turned = new Uint8Array(pixels.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [from, to] = [(y * width + x) * 3, (x * height + y) * 3];
      turned[to] = pixels[from]!;
      turned[to + 1] = pixels[from + 1]!;
      turned[to + 2] = pixels[from + 2]!;
    }
  }
  return turned;
}

function clamp(level: number): number {
  return Math.min(255, Math.max(0, level));
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

/** Keys' kernel with a = -0.5. */
function cubic(x: number): number {
  const a = -0.5;
  const at = Math.abs(x);
  if (at < 1) return ((a + 2) * at - (a + 3)) * at * at + 1;
  return at < 2 ? (((at - 5) * at + 8) * at - 4) * a : 0;
}
