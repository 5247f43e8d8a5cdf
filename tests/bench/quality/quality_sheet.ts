// The same pictures by several methods, and what each one missed: a page to look at.
import sharp, { type OverlayOptions } from "sharp";
import type { DecodedImage } from "../../../gpu-worker/media/decoded_image.ts";
import { toRgb } from "../../../gpu-worker/media/to_rgb.ts";
import type { Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import type { Method } from "./methods.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";

const PROMPTS = [
  "red heart",
  "tiger face on a black background",
  "ferris wheel",
  "strawberry on a yellow background",
  "microscope",
  "owl on a blue background",
  "pizza",
  "rocket on a pink background",
];
const SEED = 42;
/** Pixels. */
const [CELL, GAP] = [64, 2];
/** Differences are shown so many times as large. */
const GAIN = 4;

/**
 * One row a method, the first of which the others are held against; under each the differences, enlarged.
 * @returns PNG
 */
export async function qualitySheet(pipeline: Pipeline, methods: readonly Method[]): Promise<Uint8Array> {
  const cells: OverlayOptions[] = [];
  for (const [column, prompt] of PROMPTS.entries()) {
    let reference: DecodedImage | undefined;
    for (const [row, { steps, sampler }] of methods.entries()) {
      const { image } = await pipeline.generate(
        completeRequest({ prompt, seed: SEED, steps, sampler }, pipeline.description),
      );
      reference ??= image;
      cells.push(await cell(toRgb(image), { column: 2 * column, row }));
      cells.push(await cell(difference(image, reference), { column: 2 * column + 1, row }));
    }
  }
  const size = (count: number) => count * (CELL + GAP) - GAP;
  const sheet = sharp({
    create: {
      width: size(2 * PROMPTS.length),
      height: size(methods.length),
      channels: 3,
      background: "#ffffff",
    },
  });
  return await sheet.composite(cells).png({ palette: true }).toBuffer();

  async function cell(
    rgb: Uint8Array,
    { column, row }: { column: number; row: number },
  ): Promise<OverlayOptions> {
    const side = Math.sqrt(rgb.length / 3);
    const raw = { width: side, height: side, channels: 3 } as const;
    const input = await sharp(rgb, { raw }).resize(CELL, CELL).png().toBuffer();
    return { input, left: column * (CELL + GAP), top: row * (CELL + GAP) };
  }
}

/** White where the pictures agree. */
function difference(a: DecodedImage, b: DecodedImage): Uint8Array {
  const [x, y] = [toRgb(a), toRgb(b)];
  return x.map((value, i) => 255 - Math.min(255, GAIN * Math.abs(value - y[i]!)));
}
