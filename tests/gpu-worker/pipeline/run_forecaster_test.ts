// Runs that no calibration can serve use the published window instead, and say why.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parseCalibration } from "../../../gpu-worker/checkpoint/calibration_file.ts";
import { describeModel } from "../../../gpu-worker/model/describe_model.ts";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import { solverOf } from "../../../gpu-worker/pipeline/run_shape.ts";
import { runForecaster, type RunForecasterOptions } from "../../../gpu-worker/pipeline/run_forecaster.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import type { GenerateRequest } from "../../../gpu-worker/request/generate_request.ts";
import { resolveSamplerOptions } from "../../../sampler/mod.ts";
import { goldenPath } from "../../goldens/golden.ts";
import { ChangedCheckpoint } from "./changed_checkpoint.ts";

const FILE = "models/emoji/calibration.json";
const calibration = { ...parseCalibration(Deno.readTextFileSync(FILE), FILE), path: FILE, digest: "d" };
const STEPS = calibration.grid.length;
const SOLVER = { timesteps: calibration.grid, sigmas: Float64Array.of(...calibration.grid, 0) };

function forecasterOf(run: Partial<RunForecasterOptions>) {
  const sampler = resolveSamplerOptions({ method: "calibrated", fullSteps: [0, 9, 30] }, STEPS);
  const { sampler: used, report } = runForecaster(sampler, {
    solver: SOLVER,
    calibration,
    guidance: 2,
    ...run,
  });
  return { method: used.method, report: report!({ fullSteps: [0, 9, 30], steps: [9, 30] }) };
}

describe("runForecaster()", () => {
  it("forecasts with the calibration where it reaches", () => {
    const { method, report } = forecasterOf({ phases: [0] });
    assert.equal(method, "calibrated");
    assert.equal(report.fallback, undefined);
    assert.deepEqual([...report.predictedErrors.keys()], [9, 30]);
  });

  it("takes no error back at more guidance than the recording had", () => {
    const sampler = resolveSamplerOptions({ method: "calibrated", fullSteps: [0, 9, 30] }, STEPS);
    const weightsAt = (guidance: number, feedback: number) => {
      const run = { solver: SOLVER, calibration: { ...calibration, feedback }, guidance };
      return runForecaster(sampler, run).forecaster.weights(20, [0, 9]);
    };
    const { guidance } = calibration.source;
    assert.deepEqual(weightsAt(guidance + 1, 1), weightsAt(guidance + 1, 0));
    for (const at of [1, guidance]) assert.notDeepEqual(weightsAt(at, 1), weightsAt(at, 0));
  });

  it("predicts no errors where the solver adds noise", () => {
    const { method, report } = forecasterOf({ solver: { ...SOLVER, addsNoise: true } });
    assert.equal(method, "calibrated");
    assert.equal(report.fallback, undefined);
    assert.equal(report.predictedErrors.size, 0);
  });

  const cases: [string, Partial<RunForecasterOptions>, RegExp][] = [
    ["of two networks", { phases: [0, 20] }, /^the run changes from one network to another/],
    [
      "on a grid that the recording does not cover",
      { solver: { ...SOLVER, sigmas: SOLVER.sigmas.map((sigma) => 40 * sigma) } },
      /^the run's noise levels leave the range that FlowMatchEulerDiscreteScheduler recorded in 50 steps$/,
    ],
  ];
  for (const [name, run, reason] of cases) {
    it(`uses the published window for a run ${name}`, () => {
      const { method, report } = forecasterOf(run);
      assert.equal(method, "spectrum");
      assert.match(report.fallback!, reason);
      assert.equal(report.predictedErrors.size, 0);
    });
  }

  it("draws with two experts although a calibration is forced on them", async () => {
    const folder = goldenPath("wan/tiny-a14b");
    using pipeline = await openPipeline(folder, { calibration: FILE, forceCalibration: true });
    const size = { width: 16, height: 16, numFrames: 5, maxSequenceLength: 8 };
    const draw = async (sampler: object) =>
      await pipeline.generate(
        completeRequest({ prompt: "a", seed: 1, steps: 12, ...size, sampler }, pipeline.description),
      );
    const drawn = await draw({ passes: 6 });
    assert.match(drawn.calibration!.fallback!, /another network|one network to another/);
    const published = await draw({ method: "spectrum", passes: 0 });
    assert.deepEqual(drawn.plan, published.plan);
    assert.deepEqual(drawn.latents.data, published.latents.data);
  });
});

describe("a solver's addsNoise", () => {
  const cases: [string, string, Record<string, unknown>, boolean][] = [
    ["flux/tiny-dev", "FlowMatchEulerDiscreteScheduler", {}, false],
    ["flux/tiny-dev", "FlowMatchEulerDiscreteScheduler", { stochastic_sampling: true }, true],
    ["sdxl/tiny-sd15", "EulerDiscreteScheduler", {}, false],
    ["sdxl/tiny-sd15", "EulerAncestralDiscreteScheduler", {}, true],
    ["sdxl/tiny-sd15", "DPMSolverMultistepScheduler", {}, false],
    ["sdxl/tiny-sd15", "DPMSolverMultistepScheduler", { algorithm_type: "sde-dpmsolver++" }, true],
  ];
  for (const [model, className, config, expected] of cases) {
    it(`is ${expected} for ${className} ${JSON.stringify(config)}`, () => {
      using changed = new ChangedCheckpoint(goldenPath(model), {
        scheduler: { _class_name: className, ...config },
      });
      const described = describeModel(changed.folder);
      const request = completeRequest(
        { prompt: "", seed: 1, steps: 4 },
        described.reading,
      ) as GenerateRequest;
      assert.equal(solverOf(described, request).addsNoise ?? false, expected);
    });
  }
});
