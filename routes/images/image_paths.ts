// The image routes, described.
import { z } from "zod";
import type { ZodOpenApiOperationObject, ZodOpenApiPathsObject } from "zod-openapi";
import { editRequestSchema } from "../requests/edit_request.ts";
import { outputFormat } from "../../protocol/wire/generation_fields.ts";
import { imageRequestSchema } from "../requests/image_request.ts";
import { receiptSchema } from "../../protocol/wire/receipt.ts";
import { jobSchema } from "../jobs/job_object.ts";
import { body, errors, eventStream } from "../schema/responses.ts";

const receipt = receiptSchema.meta({
  id: "Receipt",
  description: "How a picture was made, and what the forecasts in it would have missed",
});

const imagesSchema = z.object({
  created: z.int().describe("Seconds since 1970."),
  model: z.string(),
  background: z.literal("opaque"),
  output_format: outputFormat,
  quality: z.enum(["auto", "low", "medium", "high"]),
  size: z.string().describe("WIDTHxHEIGHT"),
  data: z.array(z.object({
    b64_json: z.string().exactOptional(),
    url: z.string().exactOptional().describe("With response_format 'url', in place of b64_json."),
    seed: z.int(),
    receipt,
  })),
  usage: z.object({
    input_tokens: z.int(),
    input_tokens_details: z.object({ image_tokens: z.int(), text_tokens: z.int() }),
    output_tokens: z.int(),
    total_tokens: z.int(),
  }),
}).meta({ id: "Images" });

const responses: ZodOpenApiOperationObject["responses"] = {
  200: body("The pictures, or with `stream` their events", {
    "application/json": imagesSchema,
    "text/event-stream": eventStream,
  }),
  202: body("With `background` or `Prefer: respond-async`: a job", jobSchema),
  ...errors(400, 404, 408, 413, 415, 422, 504),
};

const requestParams = {
  header: z.object({
    "idempotency-key": z.string().min(1).max(255).regex(/^[!-~]+$/).optional()
      .describe("A repetition of the request finds what the first one began, for a day."),
    prefer: z.string().optional().describe("respond-async: answered at once with a job."),
    "cache-control": z.string().optional().describe("no-cache, max-age, no-store, only-if-cached."),
  }),
};

/**
 * For readers, and for the fuzzing test to begin with: what a model's own rules refuse
 * is no part of the schema.
 */
const EXAMPLES = {
  plain: { summary: "A picture", value: { prompt: "red heart" } },
  seeded: { summary: "The same one each time, two of them", value: { prompt: "red heart", seed: 42, n: 2 } },
  address: { summary: "An address", value: { prompt: "red heart", seed: 42, response_format: "url" } },
  stream: {
    summary: "Previews and progress as events",
    value: { prompt: "red heart", stream: true, partial_images: 2, progress: true },
  },
  fewer: {
    summary: "Every step in full",
    value: { prompt: "red heart", seed: 42, steps: 20, spectrum: { method: "none" } },
  },
};

export const imagePaths: ZodOpenApiPathsObject = {
  "/v1/images/generations": {
    post: {
      operationId: "generateImages",
      tags: ["Images"],
      summary: "Pictures from a prompt",
      requestParams,
      requestBody: {
        required: true,
        content: {
          "application/json": { schema: imageRequestSchema.meta({ id: "ImageRequest" }), examples: EXAMPLES },
        },
      },
      responses,
    },
  },
  "/v1/images/edits": {
    post: {
      operationId: "editImage",
      tags: ["Images"],
      summary: "Pictures from a prompt and an image",
      requestParams,
      requestBody: {
        required: true,
        content: { "multipart/form-data": { schema: editRequestSchema.meta({ id: "EditRequest" }) } },
      },
      responses,
    },
  },
};
