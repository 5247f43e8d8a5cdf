// Which runs may be made together.
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { GenerateRequest } from "../request/generate_request.ts";
import type { BatchTerms } from "./run.ts";
import { toWire } from "./wire_request.ts";

/** @returns undefined for a run that is made by itself */
export function batchTerms(
  pipeline: Pick<Pipeline, "batchLimit">,
  { request, model }: { request: GenerateRequest; model: string },
): BatchTerms | undefined {
  const limit = pipeline.batchLimit(request);
  if (limit === 1) return undefined;
  // Every picture has prompts and a seed of its own; all else decides shapes, plan or guidance.
  const { prompt: _, negative_prompt: __, seed: ___, ...shared } = toWire(request);
  return { key: JSON.stringify([model, shared]), limit };
}
