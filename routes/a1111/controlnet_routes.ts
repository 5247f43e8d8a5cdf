// What the ControlNet extension of AUTOMATIC1111's web UI tells front ends, so that they can offer models.
// Source: https://github.com/Mikubill/sd-webui-controlnet/wiki/API
import { Hono } from "hono";
import type { Environment } from "../middleware/environment.ts";
import type { ModelCatalog } from "../runs/model_catalog.ts";

/** Version of the extension's API whose fields are read. */
const VERSION = 2;
/** Control images are used as they are. */
const MODULES = ["none"];

export function controlNetRoutes(catalog: Pick<ModelCatalog, "list">): Hono<Environment> {
  const app = new Hono<Environment>();
  const names = async () => {
    const nets = (await catalog.list()).flatMap(({ controlnets = [] }) => controlnets);
    return [...new Set(nets.map(({ name }) => name))];
  };
  app.get("/version", (c) => c.json({ version: VERSION }));
  app.get("/settings", (c) => c.json({ control_net_unit_count: 1 }));
  app.get("/model_list", async (c) => c.json({ model_list: await names() }));
  app.get("/module_list", (c) => c.json({ module_list: MODULES, module_detail: {} }));
  app.get("/control_types", async (c) => {
    const models = await names();
    const all = {
      module_list: MODULES,
      model_list: ["None", ...models],
      default_option: MODULES[0],
      default_model: models[0] ?? "None",
    };
    return c.json({ control_types: { All: all } });
  });
  return app;
}
