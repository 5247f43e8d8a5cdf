// Messages between `batch` and its processes: one JSON object per line, tasks on stdin, events on stdout.
import type { ImageSize } from "../../media/decoded_image.ts";
import type { GenerateRequest } from "../../request/generate_request.ts";
import type { Control } from "../../request/control.ts";
import type { StartImage } from "../../request/start_image.ts";
import type { StartMask } from "../../request/start_mask.ts";

/** A request that names its images instead of carrying them. */
export type BatchRequest = Omit<GenerateRequest, "startImage" | "references" | "control" | "frames"> & {
  startImage?: NamedStartImage;
  references?: readonly NamedFile[];
  control?: NamedControl;
  frames?: NamedFrames;
};

export interface NamedControl extends Omit<Control, "image">, NamedFile {}

/** The frames of a video. The size of each is its file's. */
export interface NamedFrames {
  first: NamedFile & ImageSize;
  last?: NamedFile & ImageSize;
}

export interface NamedStartImage extends Omit<StartImage, "image" | "mask">, NamedFile {
  mask?: Omit<StartMask, "image"> & NamedFile;
}

/** A file of an image. */
export interface NamedFile {
  path: string;
  /** SHA-256 of the file, in hex. */
  sha256: string;
}

/** A picture to draw. */
export interface BatchTask {
  /** Folder for image.png and, written last, stats.json. */
  folder: string;
  request: BatchRequest;
  /** Whether image.png and video.mp4 say how they were made. */
  metadata: boolean;
  /** Copied into stats.json. */
  settings: Record<string, unknown>;
}

/** A process sends "ready" once. For each task it then sends its steps and how it ended. */
export type BatchEvent =
  | { type: "ready" }
  | { type: "step" }
  | { type: "drawn"; seconds: number; fullPasses: number }
  | { type: "failed"; reason: string };

/** Returns the number of steps to run: fewer than the request's if it starts from an image. */
export function stepsToRun({ steps, startImage }: BatchRequest): number {
  return steps - (startImage?.firstStep ?? 0);
}
