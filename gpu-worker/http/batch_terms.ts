// Decides which runs may be made together.
import { batchLimit } from "../request/batch_limit.ts";
import type { ModelDescription } from "../request/model_description.ts";
import type { BatchTerms } from "./run.ts";
import { toWire } from "../request/wire_settings.ts";
import type { CompleteRun } from "./wire_request.ts";

/**
 * Returns the terms on which this run can join a picture batch.
 * @returns undefined for a run that must be made alone
 */
export function batchTerms(
  { rules }: Pick<ModelDescription, "rules">,
  { request, model }: { request: CompleteRun; model: string },
): BatchTerms | undefined {
  const limit = batchLimit(request, rules);
  if (limit === 1) return undefined;
  // Each picture has its own prompts and seed. Everything else decides shapes, step plan or guidance.
  const { prompt: _, negative_prompt: __, seed: ___, ...shared } = toWire(request);
  // Equal sizes give equal numbers of tokens.
  const references = request.references?.map(({ width, height }) => [width, height]);
  return { key: JSON.stringify([model, shared, references]), limit };
}
