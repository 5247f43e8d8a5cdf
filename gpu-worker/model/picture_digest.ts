// The only list of what a worker adds to a request and what affects its picture's bytes. The edge's list is
// routes/runs/result_key.ts, which includes this digest.
import { createHash } from "node:crypto";
import type { OpenPipelineOptions } from "./open_pipeline_options.ts";

/**
 * Whether an option of a loaded model affects a picture's bytes. A new option must be entered here, or the
 * code does not compile.
 * Threads, the device's number, offloading and the graph cache affect no byte: a test in
 * tests/gpu-worker/model compares the pictures.
 */
export const DECIDES_PICTURE: Readonly<Record<keyof OpenPipelineOptions, boolean>> = {
  provider: true,
  id: false,
  dtype: true,
  loras: true,
  parts: true,
  weights: true,
  calibration: true,
  // The option only admits a calibration, whose bytes count by themselves.
  forceCalibration: false,
  vaeTiling: true,
  deviceId: false,
  intraOpThreads: false,
  offload: false,
  graphCache: false,
  weightCache: false,
  warn: false,
};

/** Everything besides the request that affects a picture, as plain values. */
export interface PictureConditions {
  /** `modelDigest` of the files, including parts from elsewhere, and LoRAs and their weights. */
  weights: string;
  /** The execution provider. */
  provider: string;
  /** Compute type of text encoders and denoiser. */
  dtype: string;
  /** How linear layers hold their weights. */
  held: string;
  vaeTiling: boolean;
  /** SHA-256 of the calibration's file, which decides the weights of forecasts. */
  calibration: string | undefined;
  /** Version of ONNX Runtime. Its kernels may round differently in another version. */
  runtime: string;
  /** The MP4 encoder of video models: "wasm", or a version of ffmpeg. */
  mp4Encoder: string | undefined;
}

/** Returns the digest (SHA-256, hex) of these conditions. Workers with equal digests share results. */
export function pictureDigest(
  { weights, provider, dtype, held, vaeTiling, calibration = "", runtime, mp4Encoder = "" }:
    PictureConditions,
): string {
  const parts = [weights, provider, dtype, held, vaeTiling, calibration, runtime, mp4Encoder];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}
