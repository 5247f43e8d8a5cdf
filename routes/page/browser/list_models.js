// The models that the service offers, from GET /v1/models.
import { ApiError } from "./api_error.js";

/** @import { Model } from "./wire.d.ts" */

/**
 * Lists the models.
 *
 * @param {{ apiKey?: string | undefined }} options
 * @returns {Promise<Model[]>}
 * @throws {ApiError}
 */
export async function listModels({ apiKey }) {
  const response = await fetch("/v1/models", {
    headers: apiKey ? { authorization: `Bearer ${apiKey}` } : {},
  });
  if (!response.ok) throw await ApiError.fromResponse(response);
  // A name that stands for another model would show it twice.
  return (await response.json()).data.filter((/** @type {Model} */ model) => model.alias_of === undefined);
}
