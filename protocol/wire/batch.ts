// The batches API in OpenAI's shape: files of requests, batches of them, and what the edge and
// the batch service share.
import { z } from "zod";
import { webhookField } from "./generation_fields.ts";
import { optional } from "./optional.ts";

/** Largest file of requests. */
export const MAX_BATCH_FILE_BYTES = 32 * 2 ** 20;
/** Most requests in one. */
export const MAX_BATCH_REQUESTS = 50_000;
/** Longest request in one: no endpoint reads a longer body. */
export const MAX_BATCH_LINE_BYTES = 256 * 1024;
/** Most faults that are told of one. */
export const MAX_BATCH_ERRORS = 100;
/** Endpoints that a batch may call. Decision 17 says why there is no other one. */
const BATCH_ENDPOINTS = ["/v1/images/generations"] as const;

const seconds = z.int().min(0);

export const fileSchema = z.object({
  id: z.string(),
  object: z.literal("file"),
  bytes: z.int().min(0),
  created_at: seconds,
  expires_at: seconds.nullable(),
  filename: z.string(),
  purpose: z.enum(["batch", "batch_output"]),
  status: z.literal("processed"),
});
export type FileObject = z.output<typeof fileSchema>;

/** An uploaded file, as the batch service describes it to the edge. */
export interface StoredFile extends FileObject {
  /** Pictures that its requests ask for, to be counted against quotas. */
  pictures: number;
}

const BATCH_STATUSES = [
  "validating",
  "failed",
  "in_progress",
  "finalizing",
  "completed",
  "expired",
  "cancelling",
  "cancelled",
] as const;

const moment = seconds.nullable();

export const batchSchema = z.object({
  id: z.string(),
  object: z.literal("batch"),
  endpoint: z.enum(BATCH_ENDPOINTS),
  errors: z.object({
    object: z.literal("list"),
    data: z.array(z.object({
      code: z.string(),
      message: z.string(),
      param: z.string().nullable(),
      line: z.int().nullable(),
    })),
  }).nullable().describe("Why the file could not be taken, for a batch that has failed."),
  input_file_id: z.string(),
  completion_window: z.literal("24h"),
  status: z.enum(BATCH_STATUSES),
  output_file_id: z.string().nullable().describe(
    "Answers by custom_id, as JSON lines in the order of the input.",
  ),
  error_file_id: z.string().nullable().describe("Requests that were refused or failed for good."),
  created_at: seconds,
  in_progress_at: moment,
  expires_at: seconds,
  finalizing_at: moment,
  completed_at: moment,
  failed_at: moment,
  expired_at: moment,
  cancelling_at: moment,
  cancelled_at: moment,
  request_counts: z.object({ total: z.int(), completed: z.int(), failed: z.int() }),
  metadata: z.record(z.string(), z.string()).nullable(),
});
export type Batch = z.output<typeof batchSchema>;

export const createBatchSchema = z.strictObject({
  input_file_id: z.string().min(1).max(100),
  endpoint: z.enum(BATCH_ENDPOINTS),
  completion_window: z.literal("24h"),
  metadata: optional(
    z.record(z.string().max(64), z.string().max(512))
      .refine((pairs) => Object.keys(pairs).length <= 16, "at most 16 pairs"),
  ),
  webhook: webhookField.describe(
    "Told when the batch has ended: batch.completed, .failed, .expired or .cancelled.",
  ),
});
export type CreateBatch = z.output<typeof createBatchSchema>;

/** The order of a batch, as the edge passes it on. */
export const batchOrderSchema = createBatchSchema.extend({
  /** Drawn by the edge: an order that is sent twice is one batch. */
  id: z.string().regex(/^batch_[0-9a-f]{24}$/),
  /** Whether files may say how they were made. @default true */
  file_metadata: optional(z.boolean()),
  /**
   * Pictures that were counted under the batch's id; its end says how many were made.
   * null: the key has no quota.
   */
  quota: z.object({ counter: z.string(), holder: z.string(), count: z.int().min(0) }).nullable(),
});
export type BatchOrder = z.output<typeof batchOrderSchema>;

/** One line of an input file. */
export const batchLineSchema = z.object({
  custom_id: z.string().min(1).max(256),
  method: z.literal("POST"),
  url: z.enum(BATCH_ENDPOINTS, {
    error: `must be ${BATCH_ENDPOINTS.join(" or ")}: batches make pictures. Try POST /v1/videos for a video.`,
  }),
  body: z.looseObject({}),
});
export type BatchLine = z.output<typeof batchLineSchema>;

/** One line of an output or error file. */
export interface BatchResult {
  id: string;
  custom_id: string;
  response: { status_code: number; request_id: string; body: unknown } | null;
  error: { code: string; message: string } | null;
}

export interface Page<T> {
  object: "list";
  data: T[];
  first_id: string | null;
  last_id: string | null;
  has_more: boolean;
}

export const pageQuerySchema = z.object({
  after: z.string().max(100).optional().describe("The last id of the page before."),
  limit: z.coerce.number().int().min(1).max(100).default(20),
});
export type PageQuery = z.output<typeof pageQuerySchema>;
