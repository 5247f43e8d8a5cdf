// Runs of method calibrated on the embedded checkpoint: what the receipt says, and what happens
// outside the recorded range.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import type { GenerateOptions, Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import type { PartialRequest } from "../../../gpu-worker/request/generate_request.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import type { ModelCalibration } from "../../../gpu-worker/request/model_calibration.ts";

let pipeline: Pipeline;
let calibration: ModelCalibration;
before(async () => {
  pipeline = await openPipeline("models/emoji");
  calibration = pipeline.description.calibration!;
});
after(() => pipeline[Symbol.dispose]());

async function draw(request: Partial<PartialRequest> = {}, options: GenerateOptions = {}) {
  const complete = completeRequest({ prompt: "red heart", seed: 42, ...request }, pipeline.description);
  return await pipeline.generate(complete, options);
}

describe("a run of method calibrated", () => {
  it("tells predicted beside measured errors, and the PSNR that its plan was measured at", async () => {
    const { sampler, plan, calibration: report, forecastErrors } = await draw({ sampler: { passes: 8 } });
    const { fullSteps, psnr } = calibration.plans[50]![8]!;
    assert.equal(sampler.method, "calibrated");
    assert.deepEqual(plan.flatMap((kind, i) => kind === "full" ? [i] : []), fullSteps);
    assert.deepEqual([report?.digest, report?.psnr, report?.fallback], [calibration.digest, psnr, undefined]);
    const { predictedErrors } = report!;
    assert.deepEqual([...predictedErrors.keys()], fullSteps.slice(1));
    // After the first pass, whose feature alone says little, prediction and measurement are near each other.
    for (const [step, predicted] of [...predictedErrors].slice(1)) {
      const measured = forecastErrors.get(step)!;
      assert.ok(predicted < 5 * measured && measured < 5 * predicted, `${step}: ${predicted}, ${measured}`);
    }
  });

  it("falls back to the published window outside the recorded range, and says so", async () => {
    const { grid, norms, products, ...rest } = calibration;
    // Recorded from the middle of the run on.
    const first = 25;
    const points = grid.length - first;
    const part = (matrix: Float64Array) =>
      Float64Array.from(
        { length: points ** 2 },
        (_, k) => matrix[(first + Math.floor(k / points)) * grid.length + first + k % points]!,
      );
    const late: ModelCalibration = {
      ...rest,
      grid: grid.slice(first),
      norms: norms.slice(first),
      products: {
        conditional: part(products.conditional),
        unconditional: part(products.unconditional!),
        cross: part(products.cross!),
      },
    };
    const fallen = await draw({}, { calibration: late });
    const window = await draw({ sampler: { method: "spectrum", passes: 0 } });
    assert.equal(fallen.sampler.method, "spectrum");
    assert.match(
      fallen.calibration!.fallback!,
      /^the run's noise levels leave the range that FlowMatchEuler/,
    );
    assert.equal(fallen.calibration!.predictedErrors.size, 0);
    assert.deepEqual(fallen.plan, window.plan);
    assert.deepEqual(fallen.latents.data, window.latents.data);
  });

  it("goes by an error budget and by a window too", async () => {
    const budget = await draw({ sampler: { errorBudget: 0.02 } });
    assert.equal(budget.sampler.method, "calibrated");
    assert.ok(budget.forecastErrors.size > 0);
    const window = await draw({ sampler: { windowSize: 4 } });
    assert.equal(window.calibration?.psnr, undefined);
    assert.equal(window.sampler.method, "calibrated");
  });

  it("records every step's feature in one slot of history", async () => {
    const seen: number[] = [];
    await draw({ steps: 6, sampler: { method: "none" } }, {
      onFeature: ({ index, data, branches, dims, solver }) => {
        seen.push(index);
        assert.equal(data.length, branches * dims.reduce((product, dim) => product * dim, 1));
        assert.equal(solver.timesteps.length, 6);
        assert.ok(data.every(Number.isFinite));
      },
    });
    assert.deepEqual(seen, [0, 1, 2, 3, 4, 5]);
  });
});
