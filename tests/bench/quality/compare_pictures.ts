// How far one picture is from another: PSNR and SSIM of the 8-bit pixels; and how
// rough a picture is in itself.
// deno-lint-ignore no-import-prefix
import { ssim } from "npm:ssim.js@3.5.0";
import type { DecodedImage } from "../../../gpu-worker/media/decoded_image.ts";
import { toRgb } from "../../../gpu-worker/media/to_rgb.ts";

export interface Difference {
  /** dB; 99 where the pictures are equal to the bit. */
  psnr: number;
  /** Mean of the luminance's, Wang et al. 2004 (window 11, Gaussian). */
  ssim: number;
}

const EQUAL_PSNR = 99;

export function comparePictures(a: DecodedImage, b: DecodedImage): Difference {
  const [x, y] = [toRgb(a), toRgb(b)];
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += (x[i]! - y[i]!) ** 2;
  const psnr = sum === 0 ? EQUAL_PSNR : 10 * Math.log10(255 ** 2 * x.length / sum);
  const { mssim } = ssim(imageData(x, a), imageData(y, b), { ssim: "original", downsample: false });
  return { psnr: Math.min(psnr, EQUAL_PSNR), ssim: mssim };
}

/** Mean absolute difference of neighbouring pixels, 0..2: noise has a multiple of any picture's. */
export function totalVariation({ width, height, data }: DecodedImage): number {
  let [sum, count] = [0, 0];
  const value = (i: number) => Math.min(1, Math.max(-1, data[i]!));
  for (let channel = 0; channel < 3; channel++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const i = (channel * height + y) * width + x;
        if (x + 1 < width) sum += Math.abs(value(i + 1) - value(i));
        if (y + 1 < height) sum += Math.abs(value(i + width) - value(i));
        count += 2;
      }
    }
  }
  return sum / count;
}

/** ssim.js's ImageData, which the DOM's is not quite. */
type Pixels = Parameters<typeof ssim>[0];

function imageData(rgb: Uint8Array, { width, height }: DecodedImage): Pixels {
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let i = 0; i < width * height; i++) data.set(rgb.subarray(i * 3, i * 3 + 3), i * 4);
  return { data, width, height } as Pixels;
}
