// The stored record of a job: its owner, its request and its runs. Results belong to the runs.
import type { Receipt } from "../../protocol/wire/receipt.ts";
import type { ChargedPictures } from "../keys/key_limits.ts";

/** Milliseconds for which a job lasts, with its record and the results that the store keeps. */
export const JOB_MS = 86_400_000;

/** One result of a job. */
export interface JobPart {
  /** Id of the run that makes the result. Null if the result was stored already. */
  run: string | null;
  /** Key of the result in the store. Null if it is not stored. */
  key: string | null;
}

export type JobStatus = "queued" | "in_progress" | "completed" | "failed" | "cancelled";

export interface JobRecord {
  /** job_ and 32 hexadecimal digits. */
  id: string;
  /** Name of its presenter: "image_generation". */
  kind: string;
  /** The owner. Others do not find the job. */
  tenant: string;
  /** Milliseconds since 1970. */
  created_at: number;
  parts: JobPart[];
  /** Facts for its presenter, as JSON. */
  facts: unknown;
  /** Whether the job goes on without connections. */
  detached: boolean;
  /**
   * Names a detached job among the viewers of its runs. Drawn for it, so that no
   * repetition that fails removes it.
   */
  viewer: string | null;
  /** Address of its webhook. */
  webhook: string | null;
  /** Pictures that count against a key. At the job's end those that were not delivered are given back. */
  quota: ChargedPictures | null;
  /** Null until the job has ended. */
  end: JobEnd | null;
}

export interface JobEnd {
  status: Exclude<JobStatus, "queued" | "in_progress">;
  /** Milliseconds since 1970. */
  at: number;
  /** How the results of a completed job were made, in order. Records of earlier versions lack it. */
  receipts?: Receipt[];
  error: { message: string; type: string; param: string | null; code: string | null } | null;
}

export function drawJobId(): string {
  return `job_${crypto.randomUUID().replaceAll("-", "")}`;
}
