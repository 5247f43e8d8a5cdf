// The pictures that videos of goldens begin and end with.
import { createHash } from "node:crypto";
import type { FrameImage } from "../../../gpu-worker/request/video_frames.ts";
import { goldenPath } from "../../goldens/golden.ts";

export const FIRST: FrameImage = frame("first", { width: 45, height: 31 });
export const LAST: FrameImage = frame("last", { width: 64, height: 40 });

function frame(name: string, size: { width: number; height: number }): FrameImage {
  const bytes = Deno.readFileSync(goldenPath(`frames/${name}.png`));
  return { ...size, file: { bytes, sha256: createHash("sha256").update(bytes).digest("hex") } };
}
