// The flags --calibration and --force-calibration, shared by the commands that make pictures.
import { UsageError } from "../../protocol/process/usage_error.ts";
import type { OpenPipelineOptions } from "../model/open_pipeline_options.ts";
import type { FlagKind, Flags } from "../../protocol/process/read_flags.ts";

export const CALIBRATION_FLAGS = {
  "calibration": "text",
  "force-calibration": "switch",
} as const satisfies Record<string, FlagKind>;

/** Lines of a command's help. */
export const CALIBRATION_HELP = `\
  --calibration FILE       what deno task calibrate has written (the checkpoint's own, if there is one)
  --force-calibration      use that file although it is of another model`;

export type CalibrationArguments = Pick<OpenPipelineOptions, "calibration" | "forceCalibration">;

/** Reads the flags of a calibration. @throws {UsageError} if --force-calibration has no --calibration. */
export function readCalibrationFlags(
  { calibration, "force-calibration": force }: Flags<typeof CALIBRATION_FLAGS>,
): CalibrationArguments {
  if (force && calibration === undefined) throw new UsageError("--force-calibration takes --calibration");
  return calibration === undefined ? {} : { calibration, forceCalibration: force };
}

/** Returns the flags as command-line arguments. */
export function calibrationArguments({ calibration, forceCalibration }: CalibrationArguments): string[] {
  return [
    ...calibration === undefined ? [] : ["--calibration", calibration],
    ...forceCalibration ? ["--force-calibration"] : [],
  ];
}
