// The values that fill the fields a request leaves open.
import type { SamplerOptions } from "../../sampler/mod.ts";

export interface RequestDefaults {
  steps: number;
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
  /** @default 1 */
  numFrames?: number | undefined;
  /** Frames a second. @default 0, for pictures */
  fps?: number | undefined;
  guidanceScale: number;
  trueCfgScale: number;
  /** @default 0 */
  guidanceRescale?: number | undefined;
  maxSequenceLength: number;
  /** Largest width * height. One pass over more may hold the device for minutes. @default 4 * width * height */
  maxPixels?: number | undefined;
  sampler: Partial<SamplerOptions>;
  /** Which steps are full, found by `deno task plan`: by number of steps, then by number of full passes. */
  plans?: StoredPlans | undefined;
}

export type StoredPlans = Readonly<Record<number, Readonly<Record<number, readonly number[]>>>>;
