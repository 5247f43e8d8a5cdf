// The OpenAPI 3.1 document, made from the zod schemas that the routes parse with.
//
// To document a route: write `NAME_paths.ts` beside it (routes/images/image_paths.ts is an example),
// give request bodies the schema that the route itself parses with, and add its name to PATHS.
// tests/routes/openapi/document_test.ts fails for a route of the app without a description, and for a
// description without a route; tests/service/fuzz_test.ts sends what the document allows and checks
// what comes back against it.
import { createDocument, type ZodOpenApiPathsObject } from "zod-openapi";
import { a1111Paths } from "../a1111/a1111_paths.ts";
import { batchPaths } from "../batches/batch_paths.ts";
import { filePaths } from "../files/file_paths.ts";
import { imagePaths } from "../images/image_paths.ts";
import { jobPaths } from "../jobs/job_paths.ts";
import { videoPaths } from "../videos/video_paths.ts";
import { modelPaths } from "../models/model_paths.ts";
import { operatorPaths } from "./operator_paths.ts";

const PATHS: readonly ZodOpenApiPathsObject[] = [
  imagePaths,
  videoPaths,
  jobPaths,
  filePaths,
  batchPaths,
  modelPaths,
  a1111Paths,
  operatorPaths,
];

export type OpenApiDocument = ReturnType<typeof createDocument>;

export function openApiDocument(): OpenApiDocument {
  return createDocument({
    openapi: "3.1.0",
    info: {
      title: "Spectrum Edge",
      version: "1",
      description: "Pictures and videos from diffusion models, in the shape of OpenAI's API. " +
        "Fields of this project's own stand " +
        "beside OpenAI's.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    security: [{ key: [] }, {}],
    components: {
      securitySchemes: {
        key: {
          type: "http",
          scheme: "bearer",
          description: "An API key; programs on the server's own machine need none where there are no keys",
        },
      },
    },
    paths: Object.assign({}, ...PATHS),
  });
}
