// OpenAPI descriptions of the routes for operators and orchestrators.
import { z } from "zod";
import type { ZodOpenApiPathsObject } from "zod-openapi";
import { body, error } from "../schema/responses.ts";

const status = (...values: string[]) => z.object({ status: z.enum(values) });

export const operatorPaths: ZodOpenApiPathsObject = {
  "/healthz": {
    get: {
      operationId: "live",
      tags: ["Operation"],
      summary: "Whether the process lives",
      security: [],
      responses: { 200: body("It does", status("ok")) },
    },
  },
  "/readyz": {
    get: {
      operationId: "ready",
      tags: ["Operation"],
      summary: "Whether a worker can take runs",
      security: [],
      responses: {
        200: body("One can", z.looseObject({ status: z.string() })),
        503: body("None can", z.looseObject({ status: z.string() })),
      },
    },
  },
  "/metrics": {
    get: {
      operationId: "metrics",
      tags: ["Operation"],
      summary: "Counters of this instance in Prometheus' format",
      responses: {
        200: body("Samples", { "text/plain": z.string() }),
        401: error(401),
        403: error(403),
        429: error(429),
        500: error(500),
        503: error(503),
      },
    },
  },
};
