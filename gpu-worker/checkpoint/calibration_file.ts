// The file of a checkpoint's calibration: what `deno task calibrate` writes and every run of
// a calibrated model reads.
import { z } from "zod";
import { choleskySolver } from "../../sampler/numerics/cholesky.ts";
import { type Calibration, type Coordinate, SAMPLER_VERSION, showValue } from "../../sampler/mod.ts";
import type { StoredCalibration } from "../request/model_calibration.ts";
import { CheckpointError } from "./checkpoint_error.ts";

const VERSION = 1;
/** A file of 1000 steps has 30 MB. */
const MAX_BYTES = 64 * 2 ** 20;
/** Digits behind the point. Products are at most about 1. */
const DIGITS = 10;
/** How far a correlation may exceed 1 by rounding. */
const SLACK = 1e-6;

const triangle = z.array(z.number());
const SCHEMA = z.strictObject({
  version: z.literal(VERSION),
  samplerVersion: z.string(),
  source: z.strictObject({
    model: z.string(),
    modelDigest: z.string(),
    scheduler: z.string(),
    steps: z.int().min(2).max(1000),
    prompts: z.int().min(1),
    guidance: z.number(),
    width: z.int().min(1),
    height: z.int().min(1),
    numFrames: z.int().min(1),
  }),
  coordinate: z.enum(["sigma", "logSigma"] satisfies Coordinate[]),
  grid: z.array(z.number()).min(2).max(1000),
  norms: z.array(z.number().positive()),
  /** Lower triangles, row by row. */
  products: z.strictObject({
    conditional: triangle,
    unconditional: triangle.exactOptional(),
    cross: triangle.exactOptional(),
  }),
  guidedShare: z.number().min(0).max(1),
  // Files of earlier versions have none.
  feedback: z.number().min(0).max(1).default(0),
  plans: z.record(
    z.string().regex(/^[1-9]\d{0,3}$/),
    z.record(
      z.string().regex(/^[1-9]\d{0,3}$/),
      z.strictObject({ fullSteps: z.array(z.int()), psnr: z.number() }),
    ),
  ),
});

/**
 * Parses the text of a calibration file.
 * @param path shown in errors
 * @throws {CheckpointError} naming the field and the rule. A damaged file is never used in part.
 */
export function parseCalibration(text: string, path: string): StoredCalibration {
  const refuse = (problem: string) => new CheckpointError(`Cannot use calibration ${path} as ${problem}`);
  if (text.length > MAX_BYTES) throw refuse(`it must have at most ${MAX_BYTES} characters`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new CheckpointError(`Cannot use calibration ${path} as it is not JSON, or was cut off`, { cause });
  }
  const parsed = SCHEMA.safeParse(json);
  if (!parsed.success) {
    const { path: field, message } = parsed.error.issues[0]!;
    throw refuse(`'${showValue(field.join(".")) || "the file"}' is wrong: ${showValue(message)}`);
  }
  const { version: _, samplerVersion: __, grid, norms, products, ...rest } = parsed.data;
  const points = grid.length;
  if (norms.length !== points) throw refuse(`'norms' must have ${points} numbers, but has ${norms.length}`);
  if (!grid.every((at, i) => i === 0 || at < grid[i - 1]!)) throw refuse("'grid' must descend");
  if ((products.unconditional === undefined) !== (products.cross === undefined)) {
    throw refuse("'products.unconditional' and 'products.cross' must be there together");
  }
  const matrices = Object.entries(products).map(([name, values]) => {
    if (values.length !== points * (points + 1) / 2) {
      throw refuse(
        `'products.${name}' must have ${points * (points + 1) / 2} numbers for ${points} steps, ` +
          `but has ${values.length}`,
      );
    }
    const matrix = fromTriangle(values, points);
    if (name !== "cross" && !(isCorrelation(matrix, points) && isPositive(matrix, points))) {
      throw refuse(`'products.${name}' must be scalar products of features`);
    }
    return [name, matrix] as const;
  });
  for (const [steps, plans] of Object.entries(rest.plans)) {
    if (Object.keys(plans).length === 0) throw refuse(`'plans.${steps}' must not be empty`);
    for (const [passes, { fullSteps }] of Object.entries(plans)) {
      const ascends = fullSteps.every((step, i) => i === 0 ? step === 0 : step > fullSteps[i - 1]!);
      if (fullSteps.length !== Number(passes) || !ascends || fullSteps.at(-1)! >= Number(steps)) {
        throw refuse(
          `'plans.${steps}.${passes}' must ascend from 0 to less than ${steps} in ${passes} numbers`,
        );
      }
    }
  }
  if (Object.keys(rest.plans).length === 0) throw refuse("'plans' must not be empty");
  return {
    ...rest,
    grid: Float64Array.from(grid),
    norms: Float64Array.from(norms),
    products: Object.fromEntries(matrices) as unknown as Calibration["products"],
  };
}

/** Formats a calibration as the text of its file. */
export function formatCalibration(
  { source, coordinate, grid, norms, products, guidedShare, feedback, plans }: StoredCalibration,
): string {
  const points = grid.length;
  const json = {
    version: VERSION,
    samplerVersion: SAMPLER_VERSION,
    source,
    coordinate,
    grid: [...grid],
    norms: rounded(norms),
    products: Object.fromEntries(
      Object.entries(products).map(([name, matrix]) => [name, rounded(toTriangle(matrix, points))]),
    ),
    guidedShare,
    feedback,
    plans,
  };
  // Lists of numbers stay on one line each.
  return JSON.stringify(json, null, 2).replaceAll(
    /\[\s+([-\d.,\se+]+?)\s+\]/g,
    (_, numbers: string) => `[${numbers.replaceAll(/,\s+/g, ", ")}]`,
  ) + "\n";
}

function rounded(values: Iterable<number>): number[] {
  return Array.from(values, (value) => Number(value.toFixed(DIGITS)));
}

function toTriangle(matrix: Float64Array, points: number): number[] {
  return Array.from(
    { length: points },
    (_, row) => [...matrix.subarray(row * points, row * points + row + 1)],
  )
    .flat();
}

function fromTriangle(values: readonly number[], points: number): Float64Array {
  const matrix = new Float64Array(points ** 2);
  let at = 0;
  for (let row = 0; row < points; row++) {
    for (let column = 0; column <= row; column++) {
      matrix[row * points + column] = values[at]!;
      matrix[column * points + row] = values[at++]!;
    }
  }
  return matrix;
}

/** Whether the diagonal is positive and no entry exceeds what its two features allow. */
function isCorrelation(matrix: Float64Array, points: number): boolean {
  const squared = Array.from({ length: points }, (_, i) => matrix[i * points + i]!);
  return squared.every((value) => value > 0) &&
    matrix.every((value, k) =>
      value ** 2 <= squared[Math.floor(k / points)]! * squared[k % points]! * (1 + SLACK)
    );
}

/** Whether some features have these products: no combination of features has a length below zero. */
function isPositive(matrix: Float64Array, points: number): boolean {
  const raised = matrix.map((value, k) => value * (k % (points + 1) === 0 ? 1 + SLACK : 1));
  try {
    choleskySolver(raised);
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
