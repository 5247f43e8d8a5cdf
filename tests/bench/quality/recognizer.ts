// Says what a picture shows: the training picture whose VAE latents are nearest, and the colour of its
// corners. The same rules as models/emoji-training/measure.py.
import type { DecodedImage } from "../../../gpu-worker/media/decoded_image.ts";
import { type ColorName, COLORS, type TrainingPictures } from "./training_pictures.ts";

/** Pixels; few icons reach the corners. */
const BORDER = 3;

export interface Recognition {
  /** Index of the nearest picture's name, whatever its background. */
  nearest: number;
  background: ColorName;
}

/** The mean latents of a picture. */
export type EncodePicture = (image: DecodedImage) => Promise<Float32Array>;

export class Recognizer {
  readonly #encode: EncodePicture;
  readonly #candidates: { name: number; latents: Float32Array }[];

  private constructor(encode: EncodePicture, candidates: { name: number; latents: Float32Array }[]) {
    this.#encode = encode;
    this.#candidates = candidates;
  }

  /** Encodes every training picture on each of `colors`. */
  static async create(
    encode: EncodePicture,
    { pictures, colors }: { pictures: TrainingPictures; colors: readonly ColorName[] },
  ): Promise<Recognizer> {
    const candidates = [];
    for (let name = 0; name < pictures.names.length; name++) {
      for (const color of colors) candidates.push({ name, latents: await encode(pictures.on(color, name)) });
    }
    return new Recognizer(encode, candidates);
  }

  async recognize(image: DecodedImage): Promise<Recognition> {
    const clamped = { ...image, data: image.data.map((value) => Math.min(1, Math.max(-1, value))) };
    const latents = await this.#encode(clamped);
    let [nearest, smallest] = [0, Infinity];
    for (const candidate of this.#candidates) {
      const distance = squaredDistance(latents, candidate.latents, smallest);
      if (distance < smallest) [nearest, smallest] = [candidate.name, distance];
    }
    return { nearest, background: backgroundOf(clamped) };
  }
}

/** Gives up once it is above `limit`. */
function squaredDistance(a: Float32Array, b: Float32Array, limit: number): number {
  const STRIDE = 256;
  let sum = 0;
  for (let start = 0; start < a.length && sum < limit; start += STRIDE) {
    const end = Math.min(a.length, start + STRIDE);
    for (let i = start; i < end; i++) sum += (a[i]! - b[i]!) ** 2;
  }
  return sum;
}

/** The colour nearest to the median of the four corners, channel by channel. */
export function backgroundOf({ width, height, data }: DecodedImage): ColorName {
  const median = [0, 1, 2].map((channel) => {
    const values: number[] = [];
    for (let y = 0; y < height; y++) {
      if (y >= BORDER && y < height - BORDER) continue;
      for (let x = 0; x < width; x++) {
        if (x < BORDER || x >= width - BORDER) values.push(data[(channel * height + y) * width + x]!);
      }
    }
    values.sort((a, b) => a - b);
    return (values[(values.length - 1) >> 1]! + 1) * 127.5;
  });
  const distance = (name: ColorName) =>
    COLORS[name].reduce((sum, value, channel) => sum + (value - median[channel]!) ** 2, 0);
  return (Object.keys(COLORS) as ColorName[]).reduce((a, b) => distance(b) < distance(a) ? b : a);
}
