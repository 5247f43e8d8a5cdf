// Draws several pictures as picture batches, which takes less time than one by one.
import { createBatch } from "../../denoiser/picture_batch.ts";
import type { GenerateOptions, Pipeline } from "../../pipeline/pipeline.ts";
import { batchLimit } from "../../request/batch_limit.ts";
import { completeRequest } from "../../request/complete_request.ts";
import type { PartialRequest } from "../../request/generate_request.ts";
import type { Pixels } from "./picture_psnr.ts";

export interface DrawTogetherOptions extends Pick<GenerateOptions, "signal" | "calibration" | "onStep"> {
  /** Whether each picture has the device to itself. @default false */
  alone?: boolean;
}

/** Draws `requests`, which differ in prompt and seed alone. Returns their pixels in the same order. */
export async function drawTogether(
  pipeline: Pipeline,
  requests: readonly PartialRequest[],
  { alone = false, ...options }: DrawTogetherOptions,
): Promise<Pixels[]> {
  const { calibration } = options;
  const description = { ...pipeline.description, ...calibration && { calibration } };
  const left = requests.map((request) => completeRequest(request, description));
  const pixels: Pixels[] = [];
  while (left.length > 0) {
    const some = left.splice(0, alone ? 1 : batchLimit(left[0]!, description.rules));
    const places = some.length > 1 ? createBatch(some.length) : [];
    pixels.push(
      ...await Promise.all(some.map(async (request, i) => {
        using batch = places[i];
        const { image, video } = await pipeline.generate(request, { ...options, ...batch && { batch } });
        return { image, ...video && { video } };
      })),
    );
  }
  return pixels;
}
