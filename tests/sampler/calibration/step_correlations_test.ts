import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import {
  CalibratedForecaster,
  type Calibration,
  createForecaster,
  SAMPLER_DEFAULTS,
  type StepCorrelations,
  stepCorrelations,
} from "../../../sampler/mod.ts";
import goldens from "../../goldens/sampler/calibrated.json" with { type: "json" };
import { float64s } from "../golden_array.ts";

const { conditionalF64, unconditionalF64, crossF64 } = goldens.products;
const CALIBRATION: Calibration = {
  coordinate: "sigma",
  grid: float64s(goldens.gridF64),
  norms: float64s(goldens.normsF64),
  products: {
    conditional: float64s(conditionalF64),
    unconditional: float64s(unconditionalF64),
    cross: float64s(crossF64),
  },
  guidedShare: 0,
  feedback: 0,
  plans: {},
};

function runOn(sigmas: Float64Array, guidance = 1) {
  // A solver's sigmas end with that of the finished picture.
  return { solver: { timesteps: sigmas, sigmas: Float64Array.of(...sigmas, 0) }, guidance };
}

/** Each forecast step of a plan with the full passes before it. */
function* forecastSteps(steps: number, fullSteps: readonly number[]): Generator<[number, number[]]> {
  for (let step = 0; step < steps; step++) {
    if (!fullSteps.includes(step)) yield [step, fullSteps.filter((full) => full < step)];
  }
}

/** Expected length of the latents' error after a plan, if no full pass corrected it. */
function leftOver(
  { correlations, norms, sigmas }: StepCorrelations,
  { fullSteps, weights }: { fullSteps: readonly number[] } & Pick<CalibratedForecaster, "weights">,
): number {
  const steps = norms.length;
  const error = new Float64Array(steps);
  for (const [step, anchors] of forecastSteps(steps, fullSteps)) {
    const stride = sigmas[step]! - sigmas[step + 1]!;
    error[step]! -= stride;
    for (const [i, weight] of weights(step, anchors).entries()) {
      error[anchors[i]!]! += stride * weight * norms[anchors[i]!]! / norms[step]!;
    }
  }
  let squared = 0;
  for (const [k, value] of correlations.entries()) {
    squared += error[Math.floor(k / steps)]! * value * error[k % steps]!;
  }
  return Math.sqrt(squared);
}

function assertClose(actual: readonly number[], expected: Float64Array, tolerance: number): void {
  assert.equal(actual.length, expected.length);
  for (const [i, value] of actual.entries()) {
    assert.ok(Math.abs(value - expected[i]!) <= tolerance, `value ${i} is ${value}, expected ${expected[i]}`);
  }
}

describe("CalibratedForecaster of stepCorrelations()", () => {
  for (const { steps, guidance, guidedShare, feedback, fullSteps, ...golden } of goldens.runs) {
    it(`has numpy's weights and errors at ${steps} steps, guidance ${guidance}`, () => {
      const run = runOn(float64s(golden.sigmasF64), guidance);
      const correlations = stepCorrelations({ ...CALIBRATION, guidedShare }, run);
      const forecaster = new CalibratedForecaster(correlations!);
      const forecasts = [...forecastSteps(steps, fullSteps)];
      const weights = forecasts.flatMap(([step, anchors]) => [...forecaster.weights(step, anchors)]);
      // The ridge bounds the systems' condition numbers by 1e7.
      assertClose(weights, float64s(golden.weightsF64), 1e-7);
      const fed = new CalibratedForecaster({ ...correlations!, feedback }, { fullSteps });
      const fedWeights = forecasts.flatMap(([step, anchors]) => [...fed.weights(step, anchors)]);
      assertClose(fedWeights, float64s(golden.feedbackWeightsF64), 1e-6);
      const errors = forecasts.map(([step, anchors]) => forecaster.predictedError(step, anchors));
      assertClose(errors, float64s(golden.errorsF64), 1e-6);
    });
  }

  it("takes no earlier error back at a full step, nor at steps of another plan", () => {
    const fullSteps = [0, 3, 8];
    const correlations = stepCorrelations({ ...CALIBRATION, feedback: 1 }, runOn(CALIBRATION.grid))!;
    const forecaster = new CalibratedForecaster(correlations, { fullSteps });
    const plain = new CalibratedForecaster(correlations);
    const same: [number, number[]][] = [[8, [0, 3]], [2, [0]], [6, [0, 4]], [10, [0, 3]], [10, [3, 8]]];
    for (const [step, anchors] of same) {
      assert.deepEqual(
        forecaster.weights(step, anchors),
        plain.weights(step, anchors),
        `${step}, ${anchors}`,
      );
    }
    assert.notDeepEqual(forecaster.weights(6, [0, 3]), plain.weights(6, [0, 3]));
  });

  it("leaves the latents of an expected run nearer to the true ones with feedback", () => {
    const fullSteps = [0, 4, 9];
    const run = runOn(CALIBRATION.grid);
    const errorOf = (feedback: number) => {
      const correlations = stepCorrelations({ ...CALIBRATION, feedback }, run)!;
      const forecaster = new CalibratedForecaster(correlations, { fullSteps });
      return leftOver(correlations, { fullSteps, weights: (...at) => forecaster.weights(...at) });
    };
    assert.ok(errorOf(1) < 0.8 * errorOf(0), `${errorOf(1)}, ${errorOf(0)}`);
  });

  it("repeats the feature of a step that it has seen", () => {
    const forecaster = new CalibratedForecaster(stepCorrelations(CALIBRATION, runOn(CALIBRATION.grid))!);
    const weights = forecaster.weights(9, [0, 4, 9]);
    assertClose([...weights], Float64Array.of(0, 0, 1), 1e-5);
  });

  it("forecasts from two anchors at one sigma, as PNDM has them", () => {
    const sigmas = CALIBRATION.grid.slice();
    sigmas[2] = sigmas[1]!;
    const forecaster = new CalibratedForecaster(stepCorrelations(CALIBRATION, runOn(sigmas))!);
    const weights = forecaster.weights(4, [0, 1, 2]);
    assert.ok(weights.every((weight) => Math.abs(weight) < 10), `${weights}`);
  });
});

describe("stepCorrelations()", () => {
  it("is undefined where the run leaves the recorded range", () => {
    const { grid } = CALIBRATION;
    const distance = grid[0]! - grid[1]!;
    const last = grid.at(-1)!;
    const cases: [string, Float64Array, boolean][] = [
      ["one distance below", grid.map((sigma) => sigma - 0.99 * distance), true],
      ["further below", Float64Array.of(0.5, last - 1.01 * distance), false],
      ["further above", Float64Array.of(grid[0]! + 1.01 * distance, 0.5), false],
      ["sigmas above 1, which have another coordinate", Float64Array.of(1.01, 0.5), false],
    ];
    for (const [name, sigmas, covered] of cases) {
      assert.equal(stepCorrelations(CALIBRATION, runOn(sigmas)) !== undefined, covered, name);
    }
  });
});

describe('createForecaster() of method "calibrated"', () => {
  it("refuses a calibration that is missing or of another length", () => {
    const options = SAMPLER_DEFAULTS.calibrated;
    const calibration = stepCorrelations(CALIBRATION, runOn(CALIBRATION.grid));
    assert.ok(createForecaster(options, 16, { calibration }) instanceof CalibratedForecaster);
    assert.throws(() => createForecaster(options, 16), {
      name: "TypeError",
      message: "Cannot forecast as 'method' calibrated needs a calibration of 16 steps, but has none",
    });
    assert.throws(() => createForecaster(options, 9, { calibration }), /but has one of 16/);
  });
});
