// Step plans that a calibration's stored plans must not lose to: by hand, by window and of other searches.
// All are drawn with calibrated weights.
import { PlanCosts } from "../../../gpu-worker/cli/calibrate/plan_costs.ts";
import { rivalPlans, STORED, storedRivals } from "../../../gpu-worker/cli/calibrate/rival_plans.ts";
import type { CalibrationCell, CalibrationRowsOptions } from "./calibration_rows.ts";
import type { CalibrationRecord } from "./calibration_draws.ts";
import { cellKey } from "./calibration_draws.ts";
import { markdownTable } from "./markdown_table.ts";
import { type Mean, meanOf } from "./statistics.ts";

/** Returns a cell for each plan at each number of full passes, the stored one first. */
export function rivalCells(
  { steps, passes, calibration, sigmas }: CalibrationRowsOptions,
): CalibrationCell[] {
  const cost = PlanCosts.byDistance(calibration, sigmas);
  const rivals = rivalPlans({ cost, steps, most: Math.max(...passes) });
  return passes.flatMap((count) => {
    const [stored, ...others] = storedRivals(calibration.plans, { passes: count, steps });
    return [stored, ...rivals(count), ...others].flatMap((plan) =>
      plan === undefined ? [] : [{
        row: plan[0],
        passes: count,
        steps,
        sampler: { method: "calibrated" as const, fullSteps: plan[1] },
      }]
    );
  });
}

/** Returns how many dB each plan gains over the stored one on the same prompts, with the 95 % interval. */
export function rivalReport(
  records: readonly CalibrationRecord[],
  { model, name, passes, cells }: {
    model: string;
    name: string;
    passes: readonly number[];
    cells: readonly CalibrationCell[];
  },
): string {
  const known = new Map(records.map(({ key, psnr }) => [key, psnr]));
  const valuesOf = (cell: CalibrationCell) => {
    const values: number[] = [];
    for (;;) {
      const value = known.get(cellKey(cell, { model, name, index: values.length }));
      if (value === undefined) return values;
      values.push(value);
    }
  };
  const gainOf = (cell: CalibrationCell): Mean | undefined => {
    const stored = cells.find(({ row, passes }) => row === STORED && passes === cell.passes);
    if (stored === undefined) return undefined;
    const [own, best] = [valuesOf(cell), valuesOf(stored)];
    const count = Math.min(own.length, best.length);
    return count === 0 ? undefined : meanOf(own.slice(0, count).map((value, i) => value - best[i]!));
  };
  const rows = [...new Set(cells.map(({ row }) => row))].filter((row) => row !== STORED);
  const body = rows.map((row) => [
    row,
    ...passes.map((count) => {
      const cell = cells.find((cell) => cell.row === row && cell.passes === count);
      const gain = cell && gainOf(cell);
      return gain ? `${gain.mean.toFixed(1)} ±${gain.halfWidth.toFixed(1)}` : "";
    }),
  ]);
  const drawn = Math.min(...cells.map((cell) => valuesOf(cell).length));
  return markdownTable([`dB over the stored plan, ${name}, ${drawn} prompts`, ...passes.map(String)], body);
}
