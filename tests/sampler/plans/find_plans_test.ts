import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import {
  createForecaster,
  findPlans,
  type Forecaster,
  SAMPLER_DEFAULTS,
  type SamplerOptions,
  TorchGenerator,
} from "../../../sampler/mod.ts";

const STEPS = 9;
const FEATURES = 5;

/** Smooth random curves, [steps][features], and the solver's strides. */
function recorded(seed: number) {
  const noise = new TorchGenerator(seed).randn(3 * FEATURES + 1);
  const features = Array.from({ length: STEPS }, (_, t) =>
    Float64Array.from({ length: FEATURES }, (_, i) => {
      const [a, b, c] = [noise[i]!, noise[i + FEATURES]!, noise[i + 2 * FEATURES]!];
      return 2 + a * Math.sin(t / 2 + b) + c * (t / STEPS) ** 3;
    }));
  const gram = Float64Array.from(
    { length: STEPS ** 2 },
    (_, at) =>
      features[Math.floor(at / STEPS)]!.reduce((sum, x, i) => sum + x * features[at % STEPS]![i]!, 0),
  );
  return { features, gram, weights: Array.from({ length: STEPS }, (_, t) => 0.05 + 0.02 * t) };
}

function forecasterOf(options: Partial<SamplerOptions> & Pick<SamplerOptions, "method">): Forecaster {
  return createForecaster({ ...SAMPLER_DEFAULTS[options.method], ...options }, STEPS);
}

/** The cost of a plan from the features themselves. */
function costOf(
  fullSteps: readonly number[],
  { features, weights }: ReturnType<typeof recorded>,
  forecaster: Forecaster,
): number {
  let [cost, error] = [0, new Float64Array(FEATURES)];
  const squared = () => error.reduce((sum, value) => sum + value ** 2, 0);
  for (let step = 0; step < STEPS; step++) {
    if (fullSteps.includes(step)) {
      cost += squared();
      error = new Float64Array(FEATURES);
      continue;
    }
    const anchors = fullSteps.filter((anchor) => anchor < step);
    const forecast = forecaster.weights(step, anchors);
    const norm = Math.hypot(...features[step]!);
    for (let i = 0; i < FEATURES; i++) {
      const value = anchors.reduce((sum, anchor, k) => sum + forecast[k]! * features[anchor]![i]!, 0);
      error[i]! += weights[step]! * (value - features[step]![i]!) / norm;
    }
  }
  return cost + squared();
}

/** All plans of so many passes. */
function* plansOf(passes: number, first = [0]): Generator<number[]> {
  if (first.length === passes) yield first;
  else for (let step = first.at(-1)! + 1; step < STEPS; step++) yield* plansOf(passes, [...first, step]);
}

describe("findPlans()", () => {
  const cases = [
    { options: { method: "reuse" }, memory: 1 },
    { options: { method: "taylorseer", order: 1 }, memory: 2 },
    { options: { method: "taylorseer", order: 2 }, memory: 3 },
    // Its weights read every full pass, so that only a search which forgets none is exact.
    { options: { method: "spectrum", m: 2 }, memory: STEPS },
  ] as const;
  for (const { options, memory } of cases) {
    it(`finds the plans that brute force finds, ${JSON.stringify(options)}`, () => {
      for (const seed of [1, 2, 3]) {
        const run = recorded(seed);
        const forecaster = forecasterOf(options);
        const plans = findPlans({ ...run, forecaster, memory, maxPasses: 6 });
        assert.deepEqual(plans.map(({ fullSteps }) => fullSteps.length), [1, 2, 3, 4, 5, 6]);
        for (const { fullSteps, cost } of plans) {
          const all = [...plansOf(fullSteps.length)].map((plan) => costOf(plan, run, forecaster));
          // The Gram matrix squares the features' digits: about 1e-14 of their squared norms is lost.
          assert.ok(Math.abs(cost - costOf(fullSteps, run, forecaster)) < 1e-12, `cost of ${fullSteps}`);
          assert.ok(cost < Math.min(...all) + 1e-12, `${fullSteps} at ${cost}, best ${Math.min(...all)}`);
        }
      }
    });
  }

  it("comes near the best plan for spectrum with the default memory", () => {
    for (const seed of [1, 2, 3]) {
      const run = recorded(seed);
      const forecaster = forecasterOf({ method: "spectrum", m: 2 });
      const found = findPlans({ ...run, forecaster, maxPasses: 4 }).at(-1)!;
      const best = Math.min(...[...plansOf(4)].map((plan) => costOf(plan, run, forecaster)));
      assert.ok(found.cost < 1.5 * best, `${found.cost} against ${best}`);
    }
  });

  it("costs nothing where every step is full, and less the more are", () => {
    const run = recorded(4);
    const plans = findPlans({
      ...run,
      forecaster: forecasterOf({ method: "reuse" }),
      memory: 1,
      maxPasses: STEPS,
    });
    assert.equal(plans.at(-1)!.cost, 0);
    const costs = plans.map(({ cost }) => cost);
    assert.deepEqual(costs, costs.toSorted((a, b) => b - a));
  });

  it("refuses a plan that does not fit", () => {
    const run = { ...recorded(1), forecaster: forecasterOf({ method: "reuse" }) };
    assert.throws(() => findPlans({ ...run, gram: new Float64Array(4), maxPasses: 2 }), {
      name: "RangeError",
      message: "Cannot find plans as 'gram' must have 81 numbers for 9 weights: it has 4",
    });
    assert.throws(() => findPlans({ ...run, maxPasses: 10 }), {
      message: "Cannot find plans as 'maxPasses' must be an integer in 1..9: current value is 10",
    });
  });
});
