// Files and batches, described.
import { z } from "zod";
import type { ZodOpenApiPathsObject } from "zod-openapi";
import { batchSchema, createBatchSchema, fileSchema, pageQuerySchema } from "../../protocol/wire/batch.ts";
import { body, errors } from "../schema/responses.ts";

const file = fileSchema.meta({ id: "File" });
const batch = batchSchema.meta({ id: "Batch" });
const path = z.object({ id: z.string().min(1) });
const tags = ["Batches"];

const page = (item: z.ZodType) =>
  z.object({
    object: z.literal("list"),
    data: z.array(item),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
    has_more: z.boolean(),
  });

export const batchPaths: ZodOpenApiPathsObject = {
  "/v1/files": {
    post: {
      operationId: "addFile",
      tags,
      summary: "A file of requests for a batch: JSON lines, as OpenAI's batch API has them",
      requestBody: {
        required: true,
        content: {
          "multipart/form-data": { schema: z.object({ purpose: z.literal("batch"), file: z.file() }) },
        },
      },
      responses: { 200: body("The file", file), ...errors(400, 408, 413, 415) },
    },
    get: {
      operationId: "listFiles",
      tags,
      summary: "Uploaded files, the newest first",
      requestParams: { query: pageQuerySchema },
      responses: { 200: body("Some of them", page(file)), ...errors(400) },
    },
  },
  "/v1/files/{id}": {
    get: {
      operationId: "getFileObject",
      tags,
      summary: "One file",
      requestParams: { path },
      responses: { 200: body("The file", file), ...errors(404) },
    },
    delete: {
      operationId: "deleteFile",
      tags,
      summary: "Deletes an uploaded file",
      requestParams: { path },
      responses: {
        200: body(
          "It is gone",
          z.object({ id: z.string(), object: z.literal("file"), deleted: z.literal(true) }),
        ),
        ...errors(404, 409),
      },
    },
  },
  "/v1/files/{id}/content": {
    get: {
      operationId: "getFileContent",
      tags,
      summary: "Content of a file: requests, or a batch's answers",
      requestParams: { path },
      responses: { 200: body("JSON lines", { "application/jsonl": z.string() }), ...errors(404) },
    },
  },
  "/v1/batches": {
    post: {
      operationId: "createBatch",
      tags,
      summary: "Has the requests of a file answered, as workers are free",
      requestBody: {
        required: true,
        content: { "application/json": { schema: createBatchSchema.meta({ id: "CreateBatch" }) } },
      },
      responses: { 200: body("The batch", batch), ...errors(400, 404, 408, 413, 415) },
    },
    get: {
      operationId: "listBatches",
      tags,
      summary: "Batches, the newest first",
      requestParams: { query: pageQuerySchema },
      responses: { 200: body("Some of them", page(batch)), ...errors(400) },
    },
  },
  "/v1/batches/{id}": {
    get: {
      operationId: "getBatch",
      tags,
      summary: "One batch, and how far it is",
      requestParams: { path },
      responses: { 200: body("The batch", batch), ...errors(404) },
    },
  },
  "/v1/batches/{id}/cancel": {
    post: {
      operationId: "cancelBatch",
      tags,
      summary: "Begins no more of a batch's requests",
      requestParams: { path },
      responses: { 200: body("The batch", batch), ...errors(404, 409) },
    },
  },
};
