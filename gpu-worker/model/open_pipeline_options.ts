// How a model is loaded. picture_digest.ts says of each option whether it decides a picture.
import type { DescribeModelOptions } from "./describe_model.ts";

export interface OpenPipelineOptions extends DescribeModelOptions {
  /** The model's name in results. @default the name by which it was opened */
  id?: string;
  /** Index of the CUDA device. @default 0 */
  deviceId?: number;
  /** Threads of the CPU provider. @default one for each physical core */
  intraOpThreads?: number;
  /**
   * Loads text encoders, denoiser and VAE only while they run. Peak memory is that of the
   * largest, and every picture waits for the loading. @default false
   */
  offload?: boolean;
  /**
   * Decodes pictures larger than the VAE's training size in tiles of that size.
   * This bounds memory and changes the picture a little. If false, only
   * pictures with a side above 2048 pixels are tiled. @default false
   */
  vaeTiling?: boolean;
  /**
   * Folder of optimized graphs, which the next start reuses.
   * If it cannot be written, nothing is stored. @default none
   */
  graphCache?: string;
  /**
   * Folder of converted weights, which the next start reuses. @default a temporary folder for each pipeline
   */
  weightCache?: string;
  /**
   * Receives a message for each part of a LoRA file that is ignored, and for a long wait.
   * @default console.warn
   */
  warn?: (message: string) => void;
}
