// A checkpoint's calibration as requests and runs see it.
import type { Calibration } from "../../sampler/mod.ts";

/** How a calibration was made. */
export interface CalibrationSource {
  /** The name that the user gave, for messages. */
  model: string;
  /** `modelDigest` of the checkpoint. */
  modelDigest: string;
  /** The solver, by its class in diffusers. */
  scheduler: string;
  steps: number;
  /** Number of runs that the products are averaged over. */
  prompts: number;
  /** Scale of classifier-free guidance; 1 without it. */
  guidance: number;
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
  /** 1 for pictures. */
  numFrames: number;
}

/** A calibration and where it comes from. */
export interface StoredCalibration extends Calibration {
  source: CalibrationSource;
}

/** A calibration in use. */
export interface ModelCalibration extends StoredCalibration {
  /** Path of the file. */
  path: string;
  /** SHA-256 of the file, in hex. It is part of what decides a picture. */
  digest: string;
}
