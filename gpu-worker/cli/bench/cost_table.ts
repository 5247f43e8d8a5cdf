// Measures how the cost of full passes and forecasts grows with
// picture size, and which speedups other step counts reach.
import type { Pipeline } from "../../pipeline/pipeline.ts";
import { median, round } from "./statistics.ts";
import { PUBLISHED_ROWS, timeRuns } from "./time_runs.ts";

export interface CostTableOptions {
  /** Sides of the pictures, in pixels. */
  sides: readonly number[];
  /** Returns the image tokens of a picture of that side. */
  tokensOf: (side: number) => number;
  steps: readonly number[];
  rounds: number;
  signal: AbortSignal;
}

export interface TokenCost {
  tokens: number;
  /** Milliseconds. */
  full: number;
  forecast: number;
}

/** Steps of a run by size: enough for full passes, and for forecasts in gaps of one to four. */
const STEPS_A_SIZE = 12;

/** Prints two tables and returns the first. */
export async function costTable(pipeline: Pipeline, options: CostTableOptions): Promise<TokenCost[]> {
  const { sides, tokensOf, steps, rounds, signal } = options;
  const costs: TokenCost[] = [];
  const rows = [{ name: "spectrum", sampler: { method: "spectrum", flexWindow: 3 } as const }];
  for (const side of sides) {
    const request = { width: side, height: side, steps: STEPS_A_SIZE };
    const [timing] = await timeRuns(pipeline, { rows, rounds, request, signal });
    costs.push({ tokens: tokensOf(side), full: timing!.full, forecast: timing!.forecast });
  }
  console.log(`cost by image tokens, ${STEPS_A_SIZE} steps, ${rounds} rounds, medians`);
  console.table(costs.map(({ tokens, full, forecast }) => ({
    tokens,
    "full pass ms": round(full, 2),
    "forecast ms": round(forecast, 3),
    "forecast / full": round(forecast / full, 5),
  })));

  console.log(`by steps, at the default size, ${rounds} rounds, medians`);
  const bySteps: Record<string, unknown>[] = [];
  for (const count of steps) {
    const timings = await timeRuns(pipeline, {
      rows: PUBLISHED_ROWS,
      rounds,
      request: { steps: count },
      signal,
    });
    const [, ...others] = timings;
    for (const { name, passes, denoise, speedups } of others) {
      const speedup = median(speedups);
      bySteps.push({
        steps: count,
        row: name,
        passes,
        "denoise ms": round(denoise, 2),
        speedup: round(speedup, 3),
        limit: round(count / passes, 3),
        reached: round(speedup * passes / count, 3),
      });
    }
  }
  console.table(bySteps);
  return costs;
}
