// GET /models and /models/{id} in OpenAI's shape, with what the page and curious clients want to know beside it.
import { Hono } from "hono";
import type { ModelCard } from "../../protocol/wire/model_card.ts";
import type { Environment } from "../middleware/environment.ts";
import type { ModelCatalog } from "../runs/model_catalog.ts";

export function modelRoutes(catalog: ModelCatalog): Hono<Environment> {
  const app = new Hono<Environment>();
  app.get("/models", async (c) => c.json({ object: "list", data: (await catalog.list()).map(toModel) }));
  // Ids hold slashes, which clients escape or not.
  app.get("/models/:id{.+}", async (c) => c.json(toModel(await catalog.find(c.req.param("id")))));
  return app;
}

function toModel({ id, loaded: _loaded, ...facts }: ModelCard) {
  // When a checkpoint was made is not recorded in it.
  return { id, object: "model", created: 0, owned_by: "spectrum-edge", ...facts };
}
