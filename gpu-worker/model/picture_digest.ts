// The one list of what a worker adds to a request that decides its picture's bytes. routes/runs/result_key.ts is the edge's
// list, and takes this digest as one of its parts.
import { createHash } from "node:crypto";
import type { OpenPipelineOptions } from "./open_pipeline_options.ts";

/**
 * Whether an option of a loaded model decides bytes. A new option must be entered here, or nothing compiles.
 * Threads, the device's number, offloading and the graph cache change no byte: tests/gpu-worker/model compares them.
 */
export const DECIDES_PICTURE: Readonly<Record<keyof OpenPipelineOptions, boolean>> = {
  provider: true,
  dtype: true,
  loras: true,
  vaeTiling: true,
  deviceId: false,
  intraOpThreads: false,
  offload: false,
  graphCache: false,
  warn: false,
};

/** What decides a picture beside its request, as plain values. */
export interface PictureConditions {
  /** `modelDigest` of the files, LoRAs and their weights among them. */
  weights: string;
  /** What computes. */
  provider: string;
  /** Compute type of text encoders and denoiser. */
  dtype: string;
  vaeTiling: boolean;
  /** Version of ONNX Runtime, whose kernels round as they like. */
  runtime: string;
  /** What encodes MP4s, of models that make videos: "wasm", or a version of ffmpeg. */
  mp4Encoder: string | undefined;
}

/** Names the pictures of a model under these conditions: SHA-256, hex. Workers share results where it is equal. */
export function pictureDigest(
  { weights, provider, dtype, vaeTiling, runtime, mp4Encoder = "" }: PictureConditions,
): string {
  const parts = [weights, provider, dtype, vaeTiling, runtime, mp4Encoder];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}
