// The video routes, described.
import { z } from "zod";
import type { ZodOpenApiPathsObject } from "zod-openapi";
import { videoFormat } from "../../protocol/wire/generation_fields.ts";
import { receiptSchema } from "../../protocol/wire/receipt.ts";
import { videoRequestSchema } from "../requests/video_request.ts";
import { binary, body, errors, eventStream } from "../schema/responses.ts";
import { remixRequestSchema } from "./remix_request.ts";
import { contentQuerySchema, listQuerySchema } from "./video_routes.ts";

const seconds = z.int().nullable().describe("Seconds since 1970.");

const videoSchema = z.object({
  id: z.string(),
  object: z.literal("video"),
  created_at: z.int().describe("Seconds since 1970."),
  completed_at: seconds,
  expires_at: seconds,
  status: z.enum(["queued", "in_progress", "completed", "failed"]),
  progress: z.number().describe("Per cent."),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  model: z.string(),
  prompt: z.string(),
  seconds: z.string(),
  size: z.string().describe("WIDTHxHEIGHT"),
  remixed_from_video_id: z.string().nullable(),
  seed: z.int(),
  num_frames: z.int(),
  fps: z.number(),
  output_format: videoFormat,
  receipt: receiptSchema.exactOptional().describe("Once it is complete."),
}).meta({ id: "Video" });

const video = { 200: body("The video", videoSchema) };
const tags = ["Videos"];
const path = z.object({ id: z.string().min(1) });
const types = ["video/mp4", "image/webp", "image/gif", "image/jpeg"];
const content = Object.fromEntries(types.map((type) => [type, binary]));

export const videoPaths: ZodOpenApiPathsObject = {
  "/v1/videos": {
    post: {
      operationId: "createVideo",
      tags,
      summary: "A video from a prompt; it is made while you ask for it, or follow its events",
      requestBody: {
        required: true,
        content: {
          "multipart/form-data": { schema: videoRequestSchema.meta({ id: "VideoRequest" }) },
          "application/json": { schema: videoRequestSchema },
        },
      },
      responses: { ...video, ...errors(400, 404, 408, 413, 415) },
    },
    get: {
      operationId: "listVideos",
      tags,
      summary: "Your videos, the latest first",
      requestParams: { query: listQuerySchema },
      responses: {
        200: body(
          "A page of them",
          z.object({
            object: z.literal("list"),
            data: z.array(videoSchema),
            first_id: z.string().nullable(),
            last_id: z.string().nullable(),
            has_more: z.boolean(),
          }),
        ),
        ...errors(400),
      },
    },
  },
  "/v1/videos/{id}": {
    get: {
      operationId: "getVideo",
      tags,
      summary: "How far a video is",
      requestParams: { path },
      responses: { ...video, ...errors(404) },
    },
    delete: {
      operationId: "deleteVideo",
      tags,
      summary: "Forgets a video, and ends its run if nobody else waits for it",
      requestParams: { path },
      responses: {
        200: body(
          "It is gone",
          z.object({ id: z.string(), object: z.literal("video.deleted"), deleted: z.literal(true) }),
        ),
        ...errors(404),
      },
    },
  },
  "/v1/videos/{id}/remix": {
    post: {
      operationId: "remixVideo",
      tags,
      summary:
        "The same request with another prompt, as a new video; a source with frames of its own is refused",
      requestParams: { path },
      requestBody: {
        required: true,
        content: { "application/json": { schema: remixRequestSchema.meta({ id: "RemixRequest" }) } },
      },
      responses: { ...video, ...errors(400, 404, 408, 413, 415) },
    },
  },
  "/v1/videos/{id}/content": {
    get: {
      operationId: "downloadVideo",
      tags,
      summary: "The video, a thumbnail or a spritesheet",
      requestParams: { path, query: contentQuerySchema },
      responses: {
        200: body("The file", content),
        206: body("A range of it", content),
        304: { description: "The client has it" },
        ...errors(400, 404, 416),
      },
    },
  },
  "/v1/videos/{id}/events": {
    get: {
      operationId: "followVideo",
      tags,
      summary: "Its events until it is complete; Last-Event-ID resumes",
      requestParams: { path, header: z.object({ "last-event-id": z.string().optional() }) },
      responses: {
        200: body("Events", { "text/event-stream": eventStream }),
        204: { description: "Nothing follows what the client has seen" },
        ...errors(400, 404),
      },
    },
  },
};
