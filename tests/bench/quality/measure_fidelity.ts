// How near each method comes to method none, on prompts that no plan was made from.
import type { Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import { comparePictures } from "./compare_pictures.ts";
import type { Flip } from "./flip.ts";
import { type Method, NONE } from "./methods.ts";
import type { ResultLog } from "./result_log.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";

const PROMPTS = 64;
const NAME_STRIDE = 5;
const SEED = 42;
const BACKGROUNDS = ["", " on a yellow background", " on a blue background", " on a pink background"];

/** One picture against method none's. */
export interface FidelityRecord {
  /** Method, passes asked for, prompt. */
  key: string;
  method: string;
  /** Full passes that were made. */
  passes: number;
  psnr: number;
  ssim: number;
  /** Only on request. */
  flip?: number;
}

export interface MeasureFidelityOptions {
  pipeline: Pipeline;
  names: readonly string[];
  methods: readonly Method[];
  flip: Flip | undefined;
  log: ResultLog<FidelityRecord>;
  signal: AbortSignal;
  onPrompt: (done: number, of: number) => void;
}

export async function measureFidelity(options: MeasureFidelityOptions): Promise<void> {
  const { pipeline, names, methods, flip, log, signal, onPrompt } = options;
  for (let i = 0; i < PROMPTS; i++) {
    const prompt = names[i * NAME_STRIDE]! + BACKGROUNDS[i % BACKGROUNDS.length];
    const draw = async ({ steps, sampler }: Method) =>
      await pipeline.generate(
        completeRequest({ prompt, seed: SEED + i, steps, sampler }, pipeline.description),
        { signal },
      );
    const todo = methods.filter((method) => !log.get(keyOf(method, prompt)));
    const reference = todo.length > 0 ? (await draw(NONE)).image : undefined;
    for (const method of todo) {
      const { image, plan } = await draw(method);
      const { psnr, ssim } = comparePictures(reference!, image);
      log.add({
        key: keyOf(method, prompt),
        method: method.name,
        passes: plan.filter((kind) => kind === "full").length,
        psnr: Number(psnr.toFixed(4)),
        ssim: Number(ssim.toFixed(6)),
        ...flip && { flip: await flip.compare(reference!, image) },
      });
    }
    onPrompt(i + 1, PROMPTS);
  }
}

function keyOf({ name, passes = 0 }: Method, prompt: string): string {
  return `${name}|${passes}|${prompt}`;
}
