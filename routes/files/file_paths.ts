// Files by signed address, described.
import { z } from "zod";
import type { ZodOpenApiPathsObject, ZodOpenApiResponseObject } from "zod-openapi";
import { CONTENT_TYPES } from "../../protocol/wire/generation_fields.ts";
import { binary, body, error } from "../schema/responses.ts";

const content = Object.fromEntries(Object.values(CONTENT_TYPES).map((type) => [type, binary]));
const etag = { etag: { description: "SHA-256 of the file", schema: { type: "string" as const } } };
const withEtag = (response: ZodOpenApiResponseObject) => ({
  ...response,
  headers: { ...response.headers, ...etag },
});

export const filePaths: ZodOpenApiPathsObject = {
  "/files/{name}": {
    get: {
      operationId: "getFile",
      tags: ["Images"],
      summary: "A picture, by the address that `response_format: url` gave",
      security: [],
      requestParams: {
        path: z.object({ name: z.string().min(1) }),
        query: z.object({ expires: z.string(), signature: z.string() }),
        header: z.object({
          range: z.string().optional(),
          "if-none-match": z.string().optional(),
          "if-range": z.string().optional(),
        }),
      },
      responses: {
        200: withEtag(body("The file", content)),
        206: withEtag(body("A range of it", content)),
        304: { description: "The client has it", headers: etag },
        403: error(403),
        404: error(404),
        416: error(416),
        500: error(500),
      },
    },
  },
};
