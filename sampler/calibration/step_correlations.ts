// A calibration as one run needs it: interpolated to the run's steps and weighted for its guidance.

import type { StepCorrelations } from "../forecasters/calibrated_forecaster.ts";
import type { Solver } from "../solvers/solver.ts";
import type { BranchProducts, Calibration, Coordinate } from "./calibration.ts";
import { interpolateMatrix, interpolateVector, interpolationRow } from "./interpolation.ts";

/** The run that a calibration is wanted for. */
export interface CalibratedRun {
  /** Solver of the run. */
  solver: Pick<Solver, "timesteps" | "sigmas">;
  /** Scale of classifier-free guidance. At 1 or below the run has one branch. */
  guidance: number;
}

/** Returns which coordinate suits a solver's steps. */
export function coordinateOf({ timesteps, sigmas }: CalibratedRun["solver"]): Coordinate {
  return sigmas.subarray(0, timesteps.length).every((sigma) => sigma <= 1) ? "sigma" : "logSigma";
}

/** Returns the coordinates of a solver's steps, [steps]. */
export function coordinatesOf(
  { timesteps, sigmas }: CalibratedRun["solver"],
  coordinate: Coordinate,
): Float64Array {
  const steps = sigmas.slice(0, timesteps.length);
  return coordinate === "sigma" ? steps : steps.map(Math.log);
}

/**
 * Interpolates a calibration to the steps of a run.
 *
 * @returns undefined if the run has steps outside the recorded range, give or take the
 * distance of two recorded steps.
 */
export function stepCorrelations(
  calibration: Calibration,
  { solver, guidance }: CalibratedRun,
): StepCorrelations | undefined {
  const { coordinate, grid, norms, products, guidedShare, feedback } = calibration;
  const coordinates = coordinatesOf(solver, coordinate);
  if (coordinateOf(solver) !== coordinate || !covers(grid, coordinates)) return undefined;
  const rows = [...coordinates].map((at) => interpolationRow(grid, at));
  const { conditional, unconditional, cross } = products;
  const at = (matrix: Float64Array) => interpolateMatrix(matrix, rows);
  return {
    correlations: weighProducts({
      conditional: at(conditional),
      ...unconditional && { unconditional: at(unconditional) },
      ...cross && { cross: at(cross) },
    }, { guidance, guidedShare }),
    norms: interpolateVector(norms, rows),
    sigmas: Float64Array.from({ length: rows.length + 1 }, (_, i) => solver.sigmas[i] ?? 0),
    feedback,
    guidance: Math.max(1, guidance),
  };
}

/** Returns the correlations, with a unit diagonal, of the error that the weights are to minimise. */
function weighProducts(
  { conditional, unconditional, cross }: BranchProducts,
  { guidance, guidedShare }: { guidance: number; guidedShare: number },
): Float64Array {
  if (guidance <= 1 || unconditional === undefined || cross === undefined) return unitDiagonal(conditional);
  const features = unitDiagonal(conditional.map((value, i) => value + unconditional[i]!));
  // The output is linear in g h - (g - 1) u, with the branches h and u.
  const [g, rest] = [guidance, guidance - 1];
  const guided = unitDiagonal(
    conditional.map((value, i) => g ** 2 * value - 2 * g * rest * cross[i]! + rest ** 2 * unconditional[i]!),
  );
  return features.map((value, i) => (1 - guidedShare) * value + guidedShare * guided[i]!);
}

function unitDiagonal(matrix: Float64Array): Float64Array {
  const size = Math.sqrt(matrix.length);
  const scales = Float64Array.from({ length: size }, (_, i) => 1 / Math.sqrt(matrix[i * size + i]!));
  return matrix.map((value, k) => value * scales[Math.floor(k / size)]! * scales[k % size]!);
}

/**
 * Whether every coordinate is in the recorded range, or as near to it as two recorded
 * steps are to each other.
 */
function covers(grid: Float64Array, coordinates: Float64Array): boolean {
  const last = grid.length - 1;
  const highest = 2 * grid[0]! - grid[1]!;
  const lowest = 2 * grid[last]! - grid[last - 1]!;
  return coordinates.every((at) => at <= highest && at >= lowest);
}
