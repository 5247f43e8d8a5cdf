// What `batch` and its processes tell each other: one JSON object a line, tasks on stdin, events on stdout.
import type { GenerateRequest } from "../../request/generate_request.ts";
import type { StartImage } from "../../request/start_image.ts";

/** A request whose image to start from is named instead of carried along. */
export type BatchRequest = Omit<GenerateRequest, "startImage"> & { startImage?: NamedStartImage };

export interface NamedStartImage extends Omit<StartImage, "image"> {
  /** Path of the file, which is resized to the request's size. */
  path: string;
  /** Of the file's bytes, hex. */
  sha256: string;
}

/** A picture to draw. */
export interface BatchTask {
  /** Gets image.png and then stats.json. */
  folder: string;
  request: BatchRequest;
  /** Copied into stats.json. */
  settings: Record<string, unknown>;
}

/** A process says "ready" once, then for each task steps and how it ended. */
export type BatchEvent =
  | { type: "ready" }
  | { type: "step" }
  | { type: "drawn"; seconds: number; fullPasses: number }
  | { type: "failed"; reason: string };

/** Fewer than the request's steps where it starts from an image. */
export function stepsToRun({ steps, startImage }: BatchRequest): number {
  return steps - (startImage?.firstStep ?? 0);
}
