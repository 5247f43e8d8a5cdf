// Tables of method calibrated beside the others.
import { type CalibrationRecord, cellKey } from "./calibration_draws.ts";
import type { CalibrationCell } from "./calibration_rows.ts";
import { markdownTable } from "./markdown_table.ts";
import { type Mean, meanOf } from "./statistics.ts";

const MOST_PROMPTS = 1000;
const METRICS = [
  ["PSNR in dB", "psnr", ({ mean, halfWidth }: Mean) => `${mean.toFixed(1)} ±${halfWidth.toFixed(1)}`],
  ["SSIM", "ssim", ({ mean }: Mean) => mean.toFixed(4)],
  ["FLIP, less is better", "flip", ({ mean }: Mean) => mean.toFixed(3)],
] as const;

export interface CalibrationReportOptions {
  model: string;
  /** Name of the table in the records. */
  name: string;
  passes: readonly number[];
  cells: readonly CalibrationCell[];
}

/** Returns a table for each metric, over the prompts that every cell has drawn. */
export function calibrationReport(
  records: readonly CalibrationRecord[],
  { model, name, passes, cells }: CalibrationReportOptions,
): string {
  const known = new Map(records.map((record) => [record.key, record]));
  const recordOf = (cell: CalibrationCell, index: number) => known.get(cellKey(cell, { model, name, index }));
  const complete = Array.from({ length: MOST_PROMPTS }, (_, i) => i)
    .filter((index) => cells.every((cell) => recordOf(cell, index)));
  if (complete.length === 0) return `${name}: nothing is complete yet`;
  const rows = [...new Set(cells.map(({ row }) => row))];
  const tables = METRICS.flatMap(([title, metric, format]) => {
    const valuesOf = (cell: CalibrationCell) =>
      complete.map((index) => recordOf(cell, index)![metric]).filter((value) => value !== undefined);
    const meanAt = (row: string, count: number) => {
      const cell = cells.find((cell) => cell.row === row && cell.passes === count);
      const values = cell === undefined ? [] : valuesOf(cell);
      return values.length === 0 ? undefined : meanOf(values);
    };
    const sign = metric === "flip" ? -1 : 1;
    const means = rows.map((row) => passes.map((count) => meanAt(row, count)));
    if (means.flat().every((mean) => mean === undefined)) return [];
    const best = passes.map((_, i) =>
      Math.max(...means.map((row) => sign * (row[i]?.mean ?? -sign * Infinity)))
    );
    const body = means.map((row, at) => [
      rows[at]!,
      ...row.map((mean, i) => {
        if (mean === undefined) return "";
        const text = format(mean);
        return sign * mean.mean === best[i] ? `**${text}**` : text;
      }),
    ]);
    const count = means.flat().find((mean) => mean !== undefined)!.count;
    return [markdownTable([`${title}, ${name}, ${count} prompts`, ...passes.map(String)], body)];
  });
  return tables.join("\n\n");
}
