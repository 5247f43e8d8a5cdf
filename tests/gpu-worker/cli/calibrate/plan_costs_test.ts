// The predicted cost of plans beside the PSNR that their pictures had.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parseCalibration } from "../../../../gpu-worker/checkpoint/calibration_file.ts";
import { PlanCosts } from "../../../../gpu-worker/cli/calibrate/plan_costs.ts";

const FILE = "models/emoji/calibration.json";
const CALIBRATION = { ...parseCalibration(Deno.readTextFileSync(FILE), FILE), path: FILE, digest: "" };
const COSTS = new PlanCosts(CALIBRATION, CALIBRATION.grid);

/** Mean PSNR in dB over 24 prompts of `deno task bench:calibration --rivals`. */
const MEASURED: [plan: number[], psnr: number][] = [
  [[0, 4, 10, 18, 27, 35, 42, 47], 50.0],
  [[0, 6, 13, 19, 25, 31, 38, 44], 41.0],
  [[0, 3, 8, 14, 20, 27, 34, 42], 36.8],
  [[0, 9, 16, 23, 29, 34, 40, 45], 43.1],
  [[0, 2, 7, 15, 25, 35, 43, 48], 45.9],
  [[0, 1, 2, 3, 4, 6, 17, 38], 29.0],
  [[0, 1, 2, 11, 20, 29, 38, 47], 39.5],
  [[0, 7, 17, 26, 33, 38, 43, 47], 48.4],
  [[0, 4, 10, 18, 26, 35, 42, 47], 49.1],
  [[0, 6, 11, 17, 25, 33, 40, 46], 47.7],
  [[0, 5, 13, 18, 23, 32, 40, 46], 45.9],
  [[0, 4, 9, 16, 25, 34, 41, 46], 46.6],
  [[0, 3, 7, 13, 19, 24, 30, 34, 38, 42, 45, 48], 58.4],
  [[0, 4, 8, 13, 17, 21, 25, 29, 33, 38, 42, 46], 49.6],
  [[0, 2, 5, 8, 12, 16, 20, 25, 30, 34, 39, 45], 46.1],
  [[0, 7, 12, 16, 21, 25, 29, 32, 36, 40, 43, 47], 53.3],
  [[0, 1, 3, 7, 12, 19, 25, 31, 37, 43, 47, 49], 53.9],
  [[0, 1, 2, 3, 4, 6, 9, 13, 19, 26, 35, 45], 41.2],
  [[0, 1, 2, 7, 12, 17, 22, 27, 32, 37, 42, 47], 54.6],
  [[0, 4, 10, 16, 21, 26, 31, 35, 39, 42, 45, 47], 55.3],
  [[0, 2, 6, 11, 17, 23, 30, 35, 39, 43, 46, 48], 58.1],
  [[0, 3, 6, 10, 15, 20, 26, 32, 38, 42, 46, 49], 55.0],
  [[0, 2, 5, 9, 14, 20, 26, 32, 37, 41, 45, 48], 57.6],
  [[0, 3, 7, 12, 15, 18, 24, 30, 36, 41, 45, 48], 57.8],
  [[0, 4, 7, 13, 20, 25, 30, 34, 38, 41, 45, 48], 57.6],
];

function correlation(xs: readonly number[], ys: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x, y] = [mean(xs), mean(ys)];
  const product = (as: readonly number[], a: number, bs: readonly number[], b: number) =>
    as.reduce((sum, value, i) => sum + (value - a) * (bs[i]! - b), 0);
  return product(xs, x, ys, y) / Math.sqrt(product(xs, x, xs, x) * product(ys, y, ys, y));
}

describe("PlanCosts", () => {
  for (const passes of [8, 12]) {
    it(`predicts how near the pictures of plans of ${passes} passes are`, () => {
      const plans = MEASURED.filter(([plan]) => plan.length === passes);
      const costs = plans.map(([plan]) => -10 * Math.log10(COSTS.of(plan)));
      const found = correlation(costs, plans.map(([, psnr]) => psnr));
      assert.ok(found > 0.95, `${found}`);
    });
  }

  it("finds plans that no other method's plan and no moved pass betters", () => {
    for (const [i, plan] of COSTS.best(8).entries()) {
      assert.equal(plan.length, i + 1);
      const cost = COSTS.of(plan);
      for (const step of plan.slice(1)) {
        for (const by of [-1, 1]) {
          const moved = plan.map((full) => full === step ? full + by : full);
          if (new Set(moved).size === plan.length) assert.ok(COSTS.of(moved) >= cost, `${plan}, ${moved}`);
        }
      }
    }
    const best = COSTS.of(COSTS.best(8)[7]!);
    for (const [plan] of MEASURED.filter(([plan]) => plan.length === 8)) assert.ok(COSTS.of(plan) >= best);
  });
});
