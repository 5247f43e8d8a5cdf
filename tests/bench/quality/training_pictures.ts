// The pictures that models/emoji was trained on, as models/emoji-training/prepare.mjs rasterises them, and
// the colours that data.py lays behind them.
import { join } from "node:path";
import type { DecodedImage } from "../../../gpu-worker/media/decoded_image.ts";

/** Pixels of a side. */
const SIZE = 64;

/** data.py's colours, RGB bytes. */
export const COLORS = {
  white: [255, 255, 255],
  black: [24, 24, 27],
  yellow: [250, 215, 90],
  green: [90, 180, 100],
  blue: [80, 130, 230],
  pink: [245, 160, 200],
  red: [220, 60, 60],
  purple: [150, 100, 210],
} as const satisfies Record<string, readonly [number, number, number]>;

export type ColorName = keyof typeof COLORS;

/** Known names with their pictures. */
export class TrainingPictures {
  readonly names: readonly string[];
  readonly #rgba: Uint8Array;

  private constructor(names: readonly string[], rgba: Uint8Array) {
    this.names = names;
    this.#rgba = rgba;
  }

  /** Reads captions.json and emoji.rgba. @throws if `folder` is not what prepare.mjs writes. */
  static read(folder: string): TrainingPictures {
    const captions: { name: string }[] = JSON.parse(Deno.readTextFileSync(join(folder, "captions.json")));
    const rgba = Deno.readFileSync(join(folder, "emoji.rgba"));
    if (rgba.length !== captions.length * SIZE ** 2 * 4) {
      throw new Error(`Cannot read ${folder} as emoji.rgba does not hold ${captions.length} pictures`);
    }
    return new TrainingPictures(captions.map(({ name }) => name), rgba);
  }

  /** Picture `index` on a colour, as the autoencoder takes it. */
  on(color: ColorName, index: number): DecodedImage {
    const area = SIZE ** 2;
    const data = new Float32Array(3 * area);
    const at = index * area * 4;
    for (let i = 0; i < area; i++) {
      const alpha = this.#rgba[at + i * 4 + 3]! / 255;
      for (let channel = 0; channel < 3; channel++) {
        const value = this.#rgba[at + i * 4 + channel]! * alpha + COLORS[color][channel]! * (1 - alpha);
        data[channel * area + i] = value / 127.5 - 1;
      }
    }
    return { width: SIZE, height: SIZE, data };
  }
}
