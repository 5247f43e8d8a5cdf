// The model routes, described.
import { z } from "zod";
import type { ZodOpenApiPathsObject } from "zod-openapi";
import { modelCardSchema } from "../../protocol/wire/model_card.ts";
import { body, errors } from "../schema/responses.ts";

const modelSchema = modelCardSchema.omit({ loaded: true }).extend({
  object: z.literal("model"),
  created: z.literal(0).describe("Checkpoints do not record when they were made."),
  owned_by: z.string(),
  alias_of: z.string().exactOptional().describe(
    "The model that this name stands for: SPECTRUM_MODEL_ALIASES.",
  ),
}).meta({ id: "Model" });

export const modelPaths: ZodOpenApiPathsObject = {
  "/v1/models": {
    get: {
      operationId: "listModels",
      tags: ["Models"],
      summary:
        "The models that can be used, the default one first, then the names that stand for some of them",
      responses: {
        200: body("All of them", z.object({ object: z.literal("list"), data: z.array(modelSchema) })),
        ...errors(),
      },
    },
  },
  "/v1/models/{id}": {
    get: {
      operationId: "getModel",
      tags: ["Models"],
      summary: "One model",
      requestParams: {
        path: z.object({ id: z.string().min(1).describe("May hold slashes, escaped or not.") }),
      },
      responses: { 200: body("The model", modelSchema), ...errors(404) },
    },
  },
};
