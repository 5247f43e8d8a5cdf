// Tables of how near each method comes to method none.
import { BUDGET_FAMILIES, BUDGETS, FAMILIES, PASSES } from "./fidelity_methods.ts";
import { markdownTable } from "./markdown_table.ts";
import type { FidelityRecord } from "./measure_fidelity.ts";
import { type Mean, meanOf } from "./statistics.ts";

export interface FidelityCell {
  method: string;
  /** Asked for; undefined where the run decided. */
  planned: number | undefined;
  /** Made. */
  passes: Mean;
  psnr: Mean;
  ssim: Mean;
  flip: Mean | undefined;
}

/** One cell for each method and number of passes, over the prompts that all of them have drawn. */
export function fidelityCells(records: readonly FidelityRecord[]): FidelityCell[] {
  const prompts = Map.groupBy(records, ({ key }) => key.split("|")[2]!);
  const most = Math.max(...[...prompts.values()].map(({ length }) => length));
  const complete = [...prompts.values()].filter(({ length }) => length === most).flat();
  const groups = Map.groupBy(complete, ({ key }) => key.split("|").slice(0, 2).join("|"));
  return [...groups.values()].map((group) => {
    const planned = Number(group[0]!.key.split("|")[1]);
    const column = (name: "passes" | "psnr" | "ssim") => meanOf(group.map((record) => record[name]));
    const flips = group.flatMap(({ flip }) => flip ?? []);
    return {
      method: group[0]!.method,
      planned: planned === 0 ? undefined : planned,
      passes: column("passes"),
      psnr: column("psnr"),
      ssim: column("ssim"),
      flip: flips.length > 0 ? meanOf(flips) : undefined,
    };
  });
}

export function fidelityReport(cells: readonly FidelityCell[]): string {
  const at = (method: string, passes?: number) =>
    cells.find((cell) => cell.method === method && cell.planned === passes);
  const names = ["fewer steps", ...FAMILIES.map(({ name }) => name)];
  const metrics = [
    ["PSNR in dB", (cell: FidelityCell) => cell.psnr.mean.toFixed(1)],
    ["SSIM", (cell: FidelityCell) => cell.ssim.mean.toFixed(4)],
    ["FLIP, less is better", (cell: FidelityCell) => cell.flip?.mean.toFixed(3) ?? ""],
  ] as const;
  const tables = metrics.map(([title, format]) => {
    const rows = names.map((name) => [
      name,
      ...PASSES.map((passes) => {
        const cell = at(name, passes);
        return cell === undefined ? "" : format(cell);
      }),
    ]);
    return markdownTable([title, ...PASSES.map((passes) => `${passes} passes`)], emphasize(rows, title));
  });
  const budgets = BUDGET_FAMILIES.flatMap(({ name }) =>
    BUDGETS.flatMap((budget) => {
      const cell = at(`${name} ${budget}`);
      if (cell === undefined) return [];
      const { passes, psnr, ssim, flip } = cell;
      return [[
        name.replace(", budget", ""),
        String(budget),
        passes.mean.toFixed(1),
        psnr.mean.toFixed(1),
        ssim.mean.toFixed(4),
        flip?.mean.toFixed(3) ?? "",
      ]];
    })
  );
  const spread = Math.max(...cells.filter(({ planned }) => planned).map(({ psnr }) => psnr.halfWidth));
  return [
    `${cells[0]!.psnr.count} prompts; 95 % intervals of the PSNR are at most ±${spread.toFixed(1)} dB wide.`,
    ...tables,
    markdownTable(["error budget", "budget", "passes", "PSNR in dB", "SSIM", "FLIP"], budgets),
  ].join("\n\n");
}

/** The best of each column in bold. */
function emphasize(rows: string[][], title: string): string[][] {
  const sign = title.includes("less") ? -1 : 1;
  const best = PASSES.map((_, i) =>
    Math.max(...rows.map((row) => row[i + 1] ? sign * Number(row[i + 1]) : -Infinity))
  );
  return rows.map((row) =>
    row.map((cell, i) => i > 0 && cell && sign * Number(cell) === best[i - 1] ? `**${cell}**` : cell)
  );
}
