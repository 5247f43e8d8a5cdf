// Records a checkpoint's features with every step in full, as the scalar products that a calibration needs.
import { coordinateOf, coordinatesOf, type Solver } from "../../../sampler/mod.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import { completeRequest } from "../../request/complete_request.ts";
import type { PartialRequest } from "../../request/generate_request.ts";
import type { StoredCalibration } from "../../request/model_calibration.ts";
import type { CalibrationBar } from "./calibration_bar.ts";
import { meanProducts, RunFeatures, type RunProducts } from "./feature_products.ts";
import type { TrialLog } from "./trial_log.ts";
import type { TrialsOptions } from "./trials.ts";

export interface RecordFeaturesOptions extends Pick<TrialsOptions, "given" | "signal"> {
  prompts: readonly string[];
  steps: number;
  /** Keeps the products of each prompt, for a calibration that is interrupted. */
  log: TrialLog;
  bar: CalibrationBar;
}

export type RecordedFeatures = Pick<StoredCalibration, "coordinate" | "grid" | "norms" | "products">;

type Grid = Pick<Solver, "timesteps" | "sigmas">;

/** Records the features of every step, or takes them from the log. */
export async function recordFeatures(
  pipeline: Pipeline,
  { given, prompts, steps, log, bar, signal }: RecordFeaturesOptions,
): Promise<RecordedFeatures> {
  bar.begin(`recording ${prompts.length} prompts`, prompts.length * steps);
  const runs: RunProducts[] = [];
  let grid = readArrays<Grid>(log, "solver");
  for (const [i, prompt] of prompts.entries()) {
    const key = `record ${i}`;
    const logged = grid && readArrays<RunProducts>(log, key);
    if (logged) {
      bar.pass(steps);
      runs.push(logged);
      continue;
    }
    const request = { ...given, prompt, seed: given.seed + i, steps };
    const run = await recordRun(pipeline, request, { signal, onStep: () => bar.pass() });
    if (i === 0) addArrays(log, "solver", run.grid);
    addArrays(log, key, run.products);
    grid = run.grid;
    runs.push(run.products);
  }
  return onGrid(meanProducts(runs), grid!);
}

async function recordRun(
  pipeline: Pipeline,
  partial: PartialRequest,
  options: { signal: AbortSignal; onStep: () => void },
): Promise<{ grid: Grid; products: RunProducts }> {
  const request = completeRequest({ ...partial, sampler: { method: "none" } }, pipeline.description);
  const features = new RunFeatures(request.seed);
  const grids: Grid[] = [];
  await pipeline.generate(request, {
    ...options,
    onFeature: (feature) => {
      const { timesteps, sigmas } = feature.solver;
      grids[0] ??= { timesteps: timesteps.slice(), sigmas: sigmas.slice() };
      features.add(feature);
    },
  });
  return { grid: grids[0]!, products: features.products() };
}

/** Keeps one recorded step for each coordinate: PNDM calls the network twice at one. */
function onGrid({ norms, ...products }: RunProducts, solver: Grid): RecordedFeatures {
  const coordinate = coordinateOf(solver);
  const coordinates = coordinatesOf(solver, coordinate);
  const kept = [...coordinates.keys()].filter((i) => i === 0 || coordinates[i]! < coordinates[i - 1]!);
  const steps = coordinates.length;
  const matrix = (values: Float64Array) =>
    Float64Array.from(kept.flatMap((row) => kept.map((column) => values[row * steps + column]!)));
  return {
    coordinate,
    grid: Float64Array.from(kept, (i) => coordinates[i]!),
    norms: Float64Array.from(kept, (i) => norms[i]!),
    products: {
      conditional: matrix(products.conditional),
      ...products.unconditional && { unconditional: matrix(products.unconditional) },
      ...products.cross && { cross: matrix(products.cross) },
    },
  };
}

function addArrays(log: TrialLog, key: string, arrays: object): void {
  const entries = Object.entries<Float64Array>({ ...arrays });
  log.add(key, Object.fromEntries(entries.map(([name, values]) => [name, [...values]])));
}

function readArrays<T>(log: TrialLog, key: string): T | undefined {
  const logged = log.get<Record<string, number[]>>(key);
  if (logged === undefined) return undefined;
  const entries = Object.entries(logged).map(([name, values]) => [name, Float64Array.from(values)]);
  return Object.fromEntries(entries) as T;
}
