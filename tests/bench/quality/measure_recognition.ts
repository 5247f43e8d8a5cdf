// Draws every known name on three backgrounds from four seeds by every method, and asks what the pictures show.
import type { DecodedImage } from "../../../gpu-worker/media/decoded_image.ts";
import type { Pipeline } from "../../../gpu-worker/pipelines/pipeline.ts";
import { Mt19937 } from "../../../sampler/mt19937.ts";
import { comparePictures, totalVariation } from "./compare_pictures.ts";
import { type Method, NONE } from "./methods.ts";
import type { Recognizer } from "./recognizer.ts";
import type { ResultLog } from "./result_log.ts";
import type { ColorName } from "./training_pictures.ts";

export const BACKGROUNDS = ["white", "yellow", "blue"] as const satisfies readonly ColorName[];
export const SEEDS = 4;

/** One picture. */
export interface RecognitionRecord {
  /** Method, name, colour, seed. */
  key: string;
  method: string;
  name: string;
  color: ColorName;
  seed: number;
  /** What the nearest training picture shows. */
  nearest: string;
  background: ColorName;
  variation: number;
  /** Against method none of the same name, colour and seed. */
  psnr?: number;
  ssim?: number;
}

export interface MeasureRecognitionOptions {
  pipeline: Pipeline;
  recognizer: Recognizer;
  names: readonly string[];
  methods: readonly Method[];
  log: ResultLog<RecognitionRecord>;
  signal: AbortSignal;
  /** Called after each name, colour and seed. */
  onItem: (done: number, of: number) => void;
}

/** The items come in a shuffled order, always the same: stopped early, what has been measured is a balanced sample. */
export async function measureRecognition(options: MeasureRecognitionOptions): Promise<void> {
  const { pipeline, recognizer, names, methods, log, signal, onItem } = options;
  const items = shuffle(
    names.flatMap((name, index) =>
      BACKGROUNDS.flatMap((color) =>
        Array.from({ length: SEEDS }, (_, s) => ({ name, color, seed: 1000 * s + index }))
      )
    ),
  );
  for (const [done, { name, color, seed }] of items.entries()) {
    const prompt = color === "white" ? name : `${name} on a ${color} background`;
    const draw = async ({ steps, sampler }: Method) => {
      const request = pipeline.complete({ prompt, seed, steps, sampler });
      return (await pipeline.generate(request, { signal })).image;
    };
    let reference: DecodedImage | undefined;
    for (const method of methods) {
      const key = `${method.name}|${name}|${color}|${seed}`;
      if (log.get(key)) continue;
      const image = await draw(method);
      if (method.name === NONE.name) reference = image;
      else reference ??= await draw(NONE);
      const { nearest, background } = await recognizer.recognize(image);
      log.add({
        key,
        method: method.name,
        name,
        color,
        seed,
        nearest: names[nearest]!,
        background,
        variation: round(totalVariation(image)),
        ...method.name !== NONE.name && rounded(comparePictures(image, reference)),
      });
    }
    onItem(done + 1, items.length);
  }
}

/** Fisher and Yates's, from a fixed seed. */
function shuffle<T>(items: T[]): T[] {
  const random = new Mt19937(1);
  for (let i = items.length - 1; i > 0; i--) {
    const j = random.next() % (i + 1);
    [items[i], items[j]] = [items[j]!, items[i]!];
  }
  return items;
}

function rounded({ psnr, ssim }: { psnr: number; ssim: number }) {
  return { psnr: round(psnr), ssim: round(ssim) };
}

function round(value: number): number {
  return Number(value.toFixed(5));
}
