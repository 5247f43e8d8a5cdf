// Defaults for the fields that a request leaves open.
import type { SamplerOptions } from "../../sampler/mod.ts";

export interface RequestDefaults {
  steps: number;
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
  /** @default 1 */
  numFrames?: number | undefined;
  /** Frames per second. @default 0, for pictures */
  fps?: number | undefined;
  guidanceScale: number;
  /** @default guidanceScale, for models of two networks */
  guidanceScale2?: number | undefined;
  trueCfgScale: number;
  /** @default 0 */
  guidanceRescale?: number | undefined;
  /** @default 0 */
  cfgNormalization?: number | undefined;
  /** @default 1 */
  cfgTruncation?: number | undefined;
  maxSequenceLength: number;
  /**
   * Largest width * height. One full pass over more may occupy
   * the device for minutes. @default 4 * width * height
   */
  maxPixels?: number | undefined;
  /**
   * Shortest and longest side, in pixels, of pictures that the checkpoint draws well.
   * @default around width x height
   */
  sizes?: { smallest: number; largest: number } | undefined;
  sampler: Partial<SamplerOptions>;
}
