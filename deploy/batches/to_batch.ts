// A batch as OpenAI's API shows it, from its hash.
import type { Batch, CreateBatch } from "../../protocol/wire/batch.ts";

export function toBatch(id: string, fields: Record<string, string>): Batch {
  const { input_file_id, endpoint, completion_window, metadata } = JSON.parse(fields.request!) as CreateBatch;
  const number = (name: string) => Number(fields[name] ?? 0);
  const moment = (name: string) => fields[name] === undefined ? null : Number(fields[name]);
  const ended = fields.finalizing_at !== undefined;
  return {
    id,
    object: "batch",
    endpoint,
    errors: fields.errors === undefined ? null : JSON.parse(fields.errors),
    input_file_id,
    completion_window,
    status: fields.status as Batch["status"],
    output_file_id: ended && fields["o:bytes"] !== undefined ? `file-${id}-output` : null,
    error_file_id: ended && fields["e:bytes"] !== undefined ? `file-${id}-error` : null,
    created_at: number("created_at"),
    in_progress_at: moment("in_progress_at"),
    expires_at: number("expires_at"),
    finalizing_at: moment("finalizing_at"),
    completed_at: moment("completed_at"),
    failed_at: moment("failed_at"),
    expired_at: moment("expired_at"),
    cancelling_at: moment("cancelling_at"),
    cancelled_at: moment("cancelled_at"),
    request_counts: { total: number("total"), completed: number("completed"), failed: number("failed") },
    metadata: metadata ?? null,
  };
}
