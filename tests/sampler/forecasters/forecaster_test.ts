import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import {
  createForecaster,
  type Method,
  planSteps,
  resolveSamplerOptions,
  SAMPLER_DEFAULTS,
  type SamplerOptions,
  type StepKind,
} from "../../../sampler/mod.ts";
import goldens from "../../goldens/sampler/forecasters.json" with { type: "json" };
import { bfloat16s, float64s } from "../golden_array.ts";

const STEPS = 50;

function forecaster(method: Method, options: Partial<SamplerOptions> = {}) {
  return createForecaster({ ...SAMPLER_DEFAULTS[method], ...options }, STEPS);
}

/** Each forecast step of a plan with the full passes before it. */
function* forecastSteps(plan: readonly StepKind[]): Generator<[step: number, anchors: number[]]> {
  const anchors: number[] = [];
  for (const [step, kind] of plan.entries()) {
    if (kind === "full") anchors.push(step);
    else yield [step, [...anchors]];
  }
}

function assertClose(actual: Iterable<number>, expected: Iterable<number>, tolerance: number): void {
  const [a, e] = [[...actual], [...expected]];
  assert.equal(a.length, e.length);
  for (const [i, value] of a.entries()) {
    assert.ok(Math.abs(value - e[i]!) <= tolerance, `value ${i} is ${value}, expected ${e[i]}`);
  }
}

describe("SpectrumForecaster.weights()", () => {
  for (const { options, fullSteps, weightsF64 } of goldens.direct) {
    const { steps, ...partial } = options;
    it(`equals numpy's direct float64 solve, ${JSON.stringify(options)}`, () => {
      const resolved = resolveSamplerOptions(partial, steps);
      const plan = planSteps(steps, resolved);
      assert.deepEqual([...plan.keys()].filter((step) => plan[step] === "full"), fullSteps);
      const spectrum = createForecaster(resolved, steps);
      const weights = [...forecastSteps(plan)].flatMap((
        [step, anchors],
      ) => [...spectrum.weights(step, anchors)]);
      // Both are backward stable in float64; the systems' condition numbers stay below 1e4.
      assertClose(weights, float64s(weightsF64), 1e-9);
    });
  }

  for (const { options, historyBf16, forecastsBf16 } of goldens.reference) {
    it(`equals the reference's forecasts to bfloat16 rounding, ${JSON.stringify(options)}`, () => {
      const plan = planSteps(STEPS, resolveSamplerOptions({ ...options, m: undefined }, STEPS));
      const spectrum = forecaster("spectrum", options);
      const history = bfloat16s(historyBf16);
      const expected = bfloat16s(forecastsBf16);
      const features = history.length / plan.filter((kind) => kind === "full").length;
      const errors = [...forecastSteps(plan)].map(([step, anchors], row) => {
        const weights = spectrum.weights(step, anchors);
        let error = 0;
        let size = 0;
        for (let f = 0; f < features; f++) {
          const forecast = weights.reduce((sum, weight, i) => sum + weight * history[i * features + f]!, 0);
          error += (forecast - expected[row * features + f]!) ** 2;
          size += forecast ** 2;
        }
        return Math.sqrt(error / size);
      });
      // bfloat16 rounds to 2^-9 = 0.2 %, and the reference rounds tau, basis, coefficients, both
      // forecasts and the blend. A rounded tau weighs most where a long gap is about to end: there the
      // error has been seen to reach 1.1 %.
      assert.ok(errors.reduce((sum, error) => sum + error) / errors.length < 0.004, `errors ${errors}`);
      assert.ok(Math.max(...errors) < 0.015, `errors ${errors}`);
    });
  }

  it("reproduces a polynomial of degree m without a penalty", () => {
    const spectrum = forecaster("spectrum", { w: 1, m: 3, lam: 0 });
    const polynomial = (t: number) => 1 - 0.3 * t + 0.02 * t ** 2 - 0.0004 * t ** 3;
    const anchors = [0, 1, 2, 5, 9, 20];
    const weights = spectrum.weights(26, anchors);
    const forecast = anchors.reduce((sum, anchor, i) => sum + weights[i]! * polynomial(anchor), 0);
    assertClose([forecast], [polynomial(26)], 1e-9);
  });

  it("stays finite where the fit has more columns than full passes and no penalty", () => {
    // The jitter of 1e-6 keeps the fit from going exactly through both points.
    const spectrum = forecaster("spectrum", { w: 1, lam: 0 });
    assertClose(spectrum.weights(0, [0, 1]), [1, 0], 1e-3);
    assertClose(spectrum.weights(1, [0, 1]), [0, 1], 1e-3);
  });

  it("equals a direct solve where the penalty spares T_0 or grows with the passes", () => {
    const anchors = [0, 1, 2, 3, 4, 6, 8, 11, 15];
    for (const [constantPenalty, lamGrowth] of [[0, 0], [1, 1], [0.25, -1], [0, 0.5]] as const) {
      const [m, lam] = [4, 0.3];
      const spectrum = forecaster("spectrum", { w: 1, m, lam, constantPenalty, lamGrowth });
      const penalty = lam * anchors.length ** lamGrowth;
      const expected = directWeights(18, anchors, {
        m,
        penalties: [constantPenalty * penalty, penalty, penalty, penalty, penalty],
      });
      // Both are float64 solves of a system whose condition number stays below 1e4.
      assertClose(spectrum.weights(18, anchors), expected, 1e-9);
    }
  });

  it("keeps the mean where T_0 bears no penalty, and shrinks it where it does", () => {
    const sum = (constantPenalty: number) =>
      forecaster("spectrum", { w: 1, lam: 1, constantPenalty }).weights(18, [0, 1, 2, 3, 4, 9, 13])
        .reduce((total, weight) => total + weight, 0);
    assert.ok(Math.abs(sum(0) - 1) < 1e-9, `sum ${sum(0)}`);
    assert.ok(sum(1) < 0.98, `sum ${sum(1)}`);
  });

  it("extrapolates the last two full passes at w = 0", () => {
    assertClose(forecaster("spectrum", { w: 0 }).weights(13, [0, 4, 10]), [0, -0.5, 1.5], 1e-15);
  });
});

/**
 * phi(t) (X^T X + diag(penalties))^-1 X^T by Gauss-Jordan elimination with pivoting,
 * T_j as cos(j arccos tau).
 */
function directWeights(
  step: number,
  anchors: readonly number[],
  { m, penalties }: { m: number; penalties: readonly number[] },
): number[] {
  const basis = (t: number) =>
    Array.from({ length: m + 1 }, (_, j) => Math.cos(j * Math.acos(2 * t / STEPS - 1)));
  const rows = anchors.map(basis);
  const system = penalties.map((penalty, i) => [
    ...penalties.map((_, j) => rows.reduce((sum, row) => sum + row[i]! * row[j]!, i === j ? penalty : 0)),
    basis(step)[i]!,
  ]);
  for (let col = 0; col <= m; col++) {
    let pivot = col;
    for (let row = col; row <= m; row++) {
      if (Math.abs(system[row]![col]!) > Math.abs(system[pivot]![col]!)) pivot = row;
    }
    [system[col], system[pivot]] = [system[pivot]!, system[col]!];
    for (let row = 0; row <= m; row++) {
      if (row === col) continue;
      const factor = system[row]![col]! / system[col]![col]!;
      for (let k = col; k <= m + 1; k++) system[row]![k]! -= factor * system[col]![k]!;
    }
  }
  const z = system.map((row, i) => row[m + 1]! / row[i]!);
  return rows.map((row) => row.reduce((sum, value, j) => sum + value * z[j]!, 0));
}

describe("TaylorSeerForecaster.weights()", () => {
  it("extrapolates linearly at order 1", () => {
    assertClose(forecaster("taylorseer").weights(13, [0, 2, 6, 10]), [0, 0, -0.75, 1.75], 1e-15);
  });

  it("adds half the second difference times the squared distance at order 2", () => {
    // x = 3; d1 = (h3 - h2) / 4, d2 = (d1 - (h2 - h1) / 2) / 4 for anchors 4, 6, 10.
    const expected = [0, 9 / 16, -0.75 - 9 / 16 - 9 / 32, 1.75 + 9 / 32];
    assertClose(forecaster("taylorseer", { order: 2 }).weights(13, [0, 4, 6, 10]), expected, 1e-15);
  });

  it("lowers its order with fewer full passes", () => {
    const taylorseer = forecaster("taylorseer", { order: 2 });
    assertClose(taylorseer.weights(3, [0]), [1], 0);
    assertClose(taylorseer.weights(3, [0, 1]), [-2, 3], 0);
  });
});

describe("ReuseForecaster.weights()", () => {
  it("repeats the last full pass", () => {
    assertClose(forecaster("reuse").weights(9, [0, 2, 6]), [0, 0, 1], 0);
  });
});

describe("createForecaster()", () => {
  it("gives weights without anchors, or with anchors out of order, for no method", () => {
    for (const method of ["spectrum", "taylorseer", "reuse"] as const) {
      assert.throws(() => forecaster(method).weights(3, []), {
        name: "RangeError",
        message: "Cannot forecast as 'anchors' must not be empty",
      });
      assert.throws(() => forecaster(method).weights(3, [0, 2, 1]), {
        name: "RangeError",
        message: "Cannot forecast as 'anchors' must ascend: current value is 0, 2, 1",
      });
    }
  });

  it("refuses to forecast for none", () => {
    assert.throws(() => forecaster("none").weights(3, [0]), {
      message: "Cannot forecast step 3 as 'method' is none",
    });
  });
});
