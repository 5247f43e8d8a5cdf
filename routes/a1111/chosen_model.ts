// The checkpoint of a client's requests: AUTOMATIC1111 has one for all, which POST /sdapi/v1/options chooses.
import type { Context } from "hono";
import type { ModelCard } from "../../protocol/wire/model_card.ts";
import type { Environment } from "../middleware/environment.ts";
import type { ModelCatalog } from "../runs/model_catalog.ts";
import type { StateStore } from "../state/state_store.ts";
import { findByTitle, pictureModels } from "./choose_model.ts";

export interface ChosenModelOptions {
  catalog: ModelCatalog;
  state: StateStore;
}

/** Milliseconds for which a chosen checkpoint is remembered. */
const OPTIONS_MS = 30 * 86_400_000;

/**
 * Returns the checkpoint that this client has chosen, else the first that makes pictures.
 * @throws {ApiError} 404, 503
 */
export async function chosenModel(
  c: Context<Environment>,
  { catalog, state }: ChosenModelOptions,
): Promise<ModelCard> {
  const cards = pictureModels(await catalog.list());
  const id = await state.get(optionsKey(c)).catch(() => undefined);
  return cards.find((card) => card.id === id) ?? cards[0] ?? await catalog.find("pictures");
}

/** Remembers the checkpoint that a client chooses. @throws {ApiError} 404, 503 */
export async function rememberModel(
  c: Context<Environment>,
  { title, catalog, state }: ChosenModelOptions & { title: string },
): Promise<void> {
  const { id } = await findModel(title, catalog);
  await state.set(optionsKey(c), id, { ttlMs: OPTIONS_MS });
}

/** Finds a checkpoint by its title or name. @throws {ApiError} 404, 503 */
export async function findModel(title: string, catalog: ModelCatalog): Promise<ModelCard> {
  return findByTitle(title, pictureModels(await catalog.list())) ?? await catalog.find(title);
}

function optionsKey(c: Context<Environment>): string {
  return `a1111:${c.get("tenant")!}`;
}
