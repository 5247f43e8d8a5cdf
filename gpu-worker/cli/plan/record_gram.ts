// Draws prompts with full passes only and records what the search for step plans needs.
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { PartialRequest } from "../../request/generate_request.ts";
import { FeatureGram } from "./feature_gram.ts";
import { completeRequest } from "../../request/complete_request.ts";

export interface RecordGramOptions {
  prompts: readonly string[];
  /** The request without prompt and method. The seed grows by one with each prompt. */
  given: Omit<PartialRequest, "prompt" | "sampler">;
  steps: number;
  signal: AbortSignal;
}

export interface RecordedGram {
  /** float64 [steps, steps], averaged over the prompts */
  gram: Float64Array;
  /** Distance in sigma that the solver moves at each step, [steps]. */
  strides: number[];
}

export async function recordGram(
  pipeline: Pipeline,
  { prompts, given, steps, signal }: RecordGramOptions,
): Promise<RecordedGram> {
  const gram = new FeatureGram(steps);
  let strides: number[] = [];
  for (const [i, prompt] of prompts.entries()) {
    const request = completeRequest({
      ...given,
      prompt,
      seed: given.seed + i,
      sampler: { method: "none" },
    }, pipeline.description);
    await pipeline.generate(request, {
      signal,
      onFeatures: (features, sigmas) => {
        gram.add(features);
        strides = Array.from({ length: steps }, (_, t) => Math.abs((sigmas[t + 1] ?? 0) - sigmas[t]!));
      },
    });
  }
  return { gram: gram.mean(), strides };
}

/** Every tenth name, from the fourth. bench:quality measures other names. */
const [NAME_STRIDE, FIRST_NAME] = [10, 3];
const BACKGROUNDS = ["", " on a yellow background", " on a blue background", " on a black background"];

/** Returns prompts from a checkpoint's list of names, on white and coloured backgrounds in turn. */
export function planningPrompts(names: readonly string[]): string[] {
  const some = names.filter((_, i) => i % NAME_STRIDE === FIRST_NAME);
  return some.map((name, i) => name + BACKGROUNDS[i % BACKGROUNDS.length]);
}
