// Finds and reads the calibration of a checkpoint: the file that the user names, or the one that
// `deno task calibrate` left.
import { createHash } from "node:crypto";
import { join } from "node:path";
import { PROJECT_FOLDER } from "../../protocol/process/project_folder.ts";
import type { ModelCalibration } from "../request/model_calibration.ts";
import { parseCalibration } from "./calibration_file.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { CheckpointError } from "./checkpoint_error.ts";
import { CALIBRATION_FILE, modelDigest } from "./model_digest.ts";
import { readFile } from "./read_file.ts";

/** Calibrations of snapshots in the Hugging Face cache, by the model's digest, wherever the user is. */
const FOLDER = join(PROJECT_FOLDER, ".cache", "calibrations");

export interface FindCalibrationOptions {
  /** A file to use. @default the checkpoint's own, if there is one */
  calibration?: string | undefined;
  /** Whether the file may be of another model. @default false */
  forceCalibration?: boolean | undefined;
  /** The model as the user named it. */
  model: string;
  /** Receives the reason why the checkpoint's own calibration is not used. */
  warn: (message: string) => void;
}

/**
 * Returns the path at which a checkpoint's own calibration is kept: beside a plain folder's files, and for a
 * snapshot of the Hugging Face cache, or a single file, in this software's cache.
 */
export function calibrationPath(checkpoint: Checkpoint): string {
  const { folder } = checkpoint;
  const isPlain = Deno.statSync(folder).isDirectory && !/[/\\]snapshots[/\\][^/\\]+[/\\]?$/.test(folder);
  return isPlain
    ? join(folder, CALIBRATION_FILE)
    : join(FOLDER, `${modelDigest(checkpoint, { loras: [], controlNets: [] })}.json`);
}

/**
 * Reads a checkpoint's calibration. It belongs to the weights without LoRAs: with a LoRA it is used as well.
 * A file that the user names must fit. The checkpoint's own is left out, with a warning, if it does not.
 * @returns undefined if there is none
 * @throws {CheckpointError} if the named file is missing, damaged or of another model.
 */
export function findCalibration(
  checkpoint: Checkpoint,
  { calibration: named, forceCalibration = false, model, warn }: FindCalibrationOptions,
): ModelCalibration | undefined {
  try {
    const path = named ?? calibrationPath(checkpoint);
    const bytes = readFile(path);
    if (bytes === undefined) {
      if (named === undefined) return undefined;
      throw new CheckpointError(`Cannot use calibration ${path} as it does not exist`);
    }
    const calibration = parseCalibration(new TextDecoder().decode(bytes), path);
    const { source } = calibration;
    const digest = modelDigest(checkpoint, { loras: [], controlNets: [] });
    if (source.modelDigest !== digest && !forceCalibration) {
      throw new CheckpointError(
        `Cannot use calibration ${path} as it is of ${source.model} with digest ${source.modelDigest}, ` +
          `but ${model} has digest ${digest}. Try deno task calibrate, or --force-calibration`,
      );
    }
    return { ...calibration, path, digest: createHash("sha256").update(bytes).digest("hex") };
  } catch (error) {
    if (named !== undefined || !(error instanceof CheckpointError)) throw error;
    warn(error.message);
    return undefined;
  }
}
