import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { controlNetRoutes } from "../../../routes/a1111/controlnet_routes.ts";
import type { ModelCard } from "../../../protocol/wire/model_card.ts";

describe("controlNetRoutes()", () => {
  const ask = async (cards: Pick<ModelCard, "controlnets">[], path: string) => {
    const routes = controlNetRoutes({ list: () => Promise.resolve(cards as ModelCard[]) });
    return await (await routes.request(path)).json();
  };

  it("names the ControlNets of all models once, and no preprocessors", async () => {
    const cards = [{ controlnets: [{ name: "canny" }, { name: "depth" }] }, {}, {
      controlnets: [{ name: "canny" }],
    }];
    assert.deepEqual(await ask(cards, "/model_list"), { model_list: ["canny", "depth"] });
    assert.deepEqual((await ask(cards, "/module_list")).module_list, ["none"]);
    const { control_types: { All } } = await ask(cards, "/control_types");
    assert.deepEqual([All.model_list, All.default_model], [["None", "canny", "depth"], "canny"]);
    assert.deepEqual(await ask([{}], "/model_list"), { model_list: [] });
    assert.deepEqual(await ask([{}], "/version"), { version: 2 });
  });
});
