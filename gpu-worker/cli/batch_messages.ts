// What `batch` and its processes tell each other: one JSON object a line, tasks on stdin, events on stdout.
import type { GenerateRequest } from "../pipelines/pipeline.ts";

/** A picture to draw. */
export interface BatchTask {
  /** Gets image.png and then stats.json. */
  folder: string;
  request: GenerateRequest;
  /** Copied into stats.json. */
  settings: Record<string, unknown>;
}

/** A process says "ready" once, then for each task steps and how it ended. */
export type BatchEvent =
  | { type: "ready" }
  | { type: "step" }
  | { type: "drawn"; seconds: number; fullPasses: number }
  | { type: "failed"; reason: string };
