// The job routes, described.
import { z } from "zod";
import type { ZodOpenApiPathsObject } from "zod-openapi";
import { body, errors, eventStream } from "../schema/responses.ts";
import { jobSchema } from "./job_object.ts";

const path = z.object({
  id: z.string().min(1).describe("Id from a 202 answer, or from a stream's header x-spectrum-job."),
});

export const jobPaths: ZodOpenApiPathsObject = {
  "/v1/jobs/{id}": {
    get: {
      operationId: "getJob",
      tags: ["Jobs"],
      summary: "How a job is, with its result once it is completed",
      requestParams: { path, header: z.object({ "if-none-match": z.string().optional() }) },
      responses: {
        200: body("The job; completed, mostly with an ETag", jobSchema),
        304: { description: "It is completed, as the client that names its ETag knows" },
        ...errors(404),
      },
    },
  },
  "/v1/jobs/{id}/events": {
    get: {
      operationId: "followJob",
      tags: ["Jobs"],
      summary: "A job's events, from its beginning or from where a reader was",
      requestParams: {
        path,
        query: z.object({ ticket: z.string().optional().describe("In place of a key.") }),
        header: z.object({ "last-event-id": z.string().optional() }),
      },
      responses: {
        200: body("Events until the job ends", { "text/event-stream": eventStream }),
        204: { description: "Nothing follows the event that Last-Event-ID names" },
        ...errors(400, 404),
      },
    },
  },
  "/v1/jobs/{id}/tickets": {
    post: {
      operationId: "issueTicket",
      tags: ["Jobs"],
      summary: "A ticket to read the job's events with, for EventSource, which sends no headers",
      requestParams: { path },
      responses: {
        200: body(
          "The ticket, good for a minute at a time",
          z.object({ ticket: z.string(), url: z.string(), expires_at: z.int() }),
        ),
        ...errors(404),
      },
    },
  },
  "/v1/jobs/{id}/cancel": {
    post: {
      operationId: "cancelJob",
      tags: ["Jobs"],
      summary: "Ends a job within one step, unless others wait for the same",
      requestParams: { path },
      responses: {
        200: body("The job, cancelled or as it had ended before", jobSchema),
        ...errors(404, 409),
      },
    },
  },
};
