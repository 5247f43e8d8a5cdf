// Draws every known name on three backgrounds from four seeds by every method, and
// asks what the pictures show.
import type { DecodedImage } from "../../../gpu-worker/media/decoded_image.ts";
import { createBatch } from "../../../gpu-worker/denoiser/picture_batch.ts";
import type { Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import { Mt19937 } from "../../../sampler/numerics/mt19937.ts";
import { comparePictures, totalVariation } from "./compare_pictures.ts";
import { type Method, NONE } from "./methods.ts";
import type { Recognizer } from "./recognizer.ts";
import type { ResultLog } from "./result_log.ts";
import type { ColorName } from "./training_pictures.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";

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
  /** Name of the nearest training picture. */
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
  /** Called after each batch. */
  onItem: (done: number, of: number) => void;
}

interface Item {
  name: string;
  color: ColorName;
  seed: number;
}

/** Pictures drawn together. */
const BATCH = 8;

/**
 * The items come in a shuffled order, always the same: stopped early, what has been
 * measured is a balanced sample.
 */
export async function measureRecognition(options: MeasureRecognitionOptions): Promise<void> {
  const { names, onItem } = options;
  const items = shuffle(
    names.flatMap((name, index) =>
      BACKGROUNDS.flatMap((color) =>
        Array.from({ length: SEEDS }, (_, s): Item => ({ name, color, seed: 1000 * s + index }))
      )
    ),
  );
  for (let start = 0; start < items.length; start += BATCH) {
    const batch = items.slice(start, start + BATCH);
    await measureItems(batch, options);
    onItem(start + batch.length, items.length);
  }
}

async function measureItems(
  items: readonly Item[],
  { pipeline, recognizer, names, methods, log, signal }: MeasureRecognitionOptions,
): Promise<void> {
  const references = new Map<Item, DecodedImage>();
  const draw = (items: readonly Item[], { steps, sampler }: Method) =>
    Promise.all(
      createBatch(items.length).map(async (place, i) => {
        using batch = place;
        const { name, color, seed } = items[i]!;
        const prompt = color === "white" ? name : `${name} on a ${color} background`;
        const request = completeRequest({ prompt, seed, steps, sampler }, pipeline.description);
        return (await pipeline.generate(request, { signal, batch })).image;
      }),
    );
  for (const method of methods) {
    const keyOf = ({ name, color, seed }: Item) => `${method.name}|${name}|${color}|${seed}`;
    const missing = items.filter((item) => !log.get(keyOf(item)));
    const images = await draw(missing, method);
    const unreferenced = missing.filter((item) => method.name !== NONE.name && !references.has(item));
    for (const [i, image] of (await draw(unreferenced, NONE)).entries()) {
      references.set(unreferenced[i]!, image);
    }
    for (const [i, item] of missing.entries()) {
      const image = images[i]!;
      if (method.name === NONE.name) references.set(item, image);
      const { nearest, background } = await recognizer.recognize(image);
      log.add({
        key: keyOf(item),
        method: method.name,
        ...item,
        nearest: names[nearest]!,
        background,
        variation: round(totalVariation(image)),
        ...method.name !== NONE.name && rounded(comparePictures(image, references.get(item)!)),
      });
    }
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
