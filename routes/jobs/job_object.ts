// A job as GET /v1/jobs/{id} shows it.
import { z } from "zod";
import { errorSchema } from "../schema/responses.ts";
import { JOB_MS, type JobRecord } from "./job_record.ts";
import type { JobState } from "./jobs.ts";
import { unixSeconds } from "../../protocol/wire/unix_seconds.ts";

export const jobSchema = z.object({
  id: z.string(),
  object: z.literal("job"),
  kind: z.string().describe("The job's kind: image_generation, image_edit, video."),
  status: z.enum(["queued", "in_progress", "completed", "failed", "cancelled"]),
  progress: z.int().min(0).max(100).describe("Finished steps in percent."),
  created_at: z.int().describe("Seconds since 1970."),
  completed_at: z.int().nullable(),
  expires_at: z.int(),
  error: errorSchema.shape.error.nullable(),
  result: z.unknown().describe(
    "Only of a completed job: the answer to the same request without `background`.",
  ),
  urls: z.object({ self: z.string(), events: z.string(), cancel: z.string(), tickets: z.string() }),
}).meta({ id: "Job" });

export function jobObject(
  { id, kind, created_at }: JobRecord,
  { status, progress, end, result = null }: Omit<JobState, "receipts"> & { result?: unknown },
): z.output<typeof jobSchema> {
  const path = `/v1/jobs/${id}`;
  return {
    id,
    object: "job",
    kind,
    status,
    progress,
    created_at: unixSeconds(created_at),
    completed_at: end === null ? null : unixSeconds(end.at),
    expires_at: unixSeconds(created_at + JOB_MS),
    error: end?.error ?? null,
    result,
    urls: { self: path, events: `${path}/events`, cancel: `${path}/cancel`, tickets: `${path}/tickets` },
  };
}
