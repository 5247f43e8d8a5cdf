// Step plans that a calibration's stored plans must not lose to: by hand, by window and of other searches.
// All are drawn with calibrated weights.
import { PlanCosts } from "../../../gpu-worker/cli/calibrate/plan_costs.ts";
import { planOfPasses, planSteps } from "../../../sampler/mod.ts";
import {
  type CalibrationCell,
  type CalibrationRowsOptions,
  methodPlans,
  windowed,
} from "./calibration_rows.ts";
import type { CalibrationRecord } from "./calibration_draws.ts";
import { cellKey } from "./calibration_draws.ts";
import { markdownTable } from "./markdown_table.ts";
import { type Mean, meanOf } from "./statistics.ts";

/** The row of the stored plans. */
export const STORED = "stored";

/** Returns a cell for each plan at each number of full passes, the stored one first. */
export function rivalCells(options: CalibrationRowsOptions): CalibrationCell[] {
  const { steps, passes, calibration, sigmas } = options;
  const predicted = PlanCosts.byDistance(calibration, sigmas).best(Math.max(...passes));
  const planned = {
    reuse: methodPlans({ method: "reuse" }, options),
    spectrum: methodPlans({ method: "spectrum" }, options),
    taylorseer: methodPlans({ method: "taylorseer", order: 2 }, options),
  };
  return passes.flatMap((count) => {
    const bent = (power: number) => byHand(count, steps, (share) => share ** power);
    const { [count]: stored, ...others } = calibration.plans[steps]!;
    const neighbours = { ...calibration.plans, [steps]: others };
    const elsewhere = Object.fromEntries(
      Object.entries(calibration.plans).filter(([of]) => Number(of) !== steps),
    );
    const plans: [name: string, plan: readonly number[] | undefined][] = [
      [STORED, stored?.fullSteps],
      ["by hand: even", bent(1)],
      ["by hand: denser at the start", bent(1.3)],
      ["by hand: denser at the end", bent(0.8)],
      ["by hand: denser at both ends", byHand(count, steps, (share) => (1 - Math.cos(Math.PI * share)) / 2)],
      ["Spectrum's window", windowPlan({ method: "spectrum" }, count, options)],
      ["TaylorSeer's window", windowPlan({ method: "taylorseer" }, count, options)],
      ["search for reuse", planned.reuse[count]],
      ["search for Spectrum", planned.spectrum[count]],
      ["search for TaylorSeer, order 2", planned.taylorseer[count]],
      ["search by predicted errors alone", predicted[count - 1]],
      ["plan of a pass less, and one more", planOfPasses(neighbours, count, { steps })],
      [
        "plan for other steps, stretched",
        Object.keys(elsewhere).length > 0 ? planOfPasses(elsewhere, count, { steps }) : undefined,
      ],
    ];
    return plans.flatMap(([row, fullSteps]) =>
      fullSteps?.length === count
        ? [{ row, passes: count, steps, sampler: { method: "calibrated" as const, fullSteps } }]
        : []
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

/** Spreads the passes over the steps by a rule from 0..1 to 0..1. */
function byHand(passes: number, steps: number, rule: (share: number) => number): number[] {
  return [...new Set(Array.from({ length: passes }, (_, i) => Math.round(rule(i / passes) * steps)))];
}

function windowPlan(
  sampler: Parameters<typeof windowed>[0],
  passes: number,
  options: CalibrationRowsOptions,
): number[] | undefined {
  const window = windowed(sampler, passes, options);
  if (window === undefined) return undefined;
  const { warmupSteps, tailSteps, windowSize, flexWindow } = window;
  const kinds = planSteps(options.steps, {
    fullPasses: { by: "window", warmupSteps, tailSteps, windowSize, flexWindow },
  });
  return kinds.flatMap((kind, i) => kind === "full" ? [i] : []);
}
