// GET /models and /models/{id} in OpenAI's shape, with what the page and curious
// clients want to know beside it.
import { Hono } from "hono";
import type { ModelCard } from "../../protocol/wire/model_card.ts";
import type { Environment } from "../middleware/environment.ts";
import type { ModelCatalog } from "../runs/model_catalog.ts";

export function modelRoutes(catalog: ModelCatalog): Hono<Environment> {
  const app = new Hono<Environment>();
  app.get("/models", async (c) => {
    const [cards, aliases] = await Promise.all([catalog.list(), catalog.listAliases()]);
    return c.json({
      object: "list",
      data: [...cards.map((card) => toModel(card)), ...aliases.map(({ name, card }) => toModel(card, name))],
    });
  });
  // Ids hold slashes, which clients escape or not.
  app.get("/models/:id{.+}", async (c) => {
    const id = c.req.param("id");
    return c.json(toModel(await catalog.find(id), id));
  });
  return app;
}

function toModel({ id, loaded: _loaded, ...facts }: ModelCard, name = id) {
  return {
    id: name,
    object: "model",
    // When a checkpoint was made is not recorded in it.
    created: 0,
    owned_by: "spectrum-edge",
    ...name !== id && { alias_of: id },
    ...facts,
  };
}
