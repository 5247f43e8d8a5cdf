import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import {
  createForecaster,
  createSolver,
  denoise,
  type Denoiser,
  type DenoiseResult,
  ErrorWindow,
  type ErrorWindowOptions,
  type ForecastCall,
  type FullCall,
  type FullResult,
  historySlots,
  MAX_BUDGET_SLOTS,
  planSteps,
  resolveSamplerOptions,
  type SamplerOptions,
} from "../../../sampler/mod.ts";

const STEPS = 60;
const SIZE = 4;
const OPTIONS: ErrorWindowOptions = { errorBudget: 0.1, windowSize: 2, warmupSteps: 3, tailSteps: 0 };

/**
 * A network whose feature is a known function of the step alone, kept in a ring of so many slots. A pass
 * writes its slot before it measures, as a device may.
 */
class CurveDenoiser implements Denoiser {
  readonly slots: (Float64Array | undefined)[];
  readonly calls: FullCall[] = [];
  readonly forecasts: { step: number; error: number }[] = [];
  readonly #curve: (step: number) => number;

  constructor(slots: number, curve: (step: number) => number) {
    this.slots = new Array(slots).fill(undefined);
    this.#curve = curve;
  }

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  full(call: FullCall): Promise<FullResult> {
    this.calls.push({ ...call });
    const feature = this.#feature(call.step);
    this.slots[call.slot!] = feature;
    const result: FullResult = { output: new Float32Array(SIZE) };
    if (call.check) result.forecastError = relative(this.#forecast(call.check), feature);
    return Promise.resolve(result);
  }

  forecast(calls: readonly ForecastCall[]): Promise<Float32Array[]> {
    for (const { step, weights } of calls) {
      this.forecasts.push({ step, error: relative(this.#forecast(weights), this.#feature(step)) });
    }
    return Promise.resolve(calls.map(() => new Float32Array(SIZE)));
  }

  #feature(step: number): Float64Array {
    return Float64Array.from({ length: SIZE }, (_, i) => (i + 1) * this.#curve(step));
  }

  #forecast(weights: Float64Array): Float64Array {
    return Float64Array.from(
      { length: SIZE },
      (_, i) => weights.reduce((sum, weight, slot) => sum + weight * this.slots[slot]![i]!, 0),
    );
  }
}

function relative(a: Float64Array, b: Float64Array): number {
  const norm = (values: Float64Array) => Math.hypot(...values);
  return norm(a.map((value, i) => value - b[i]!)) / norm(b);
}

async function run(
  curve: (step: number) => number,
  partial: Partial<SamplerOptions>,
): Promise<DenoiseResult & { denoiser: CurveDenoiser }> {
  const options = resolveSamplerOptions(
    { method: "taylorseer", windowSize: 2, warmupSteps: 3, ...partial },
    STEPS,
  );
  const plan = planSteps(STEPS, options);
  const slots = historySlots(plan, options);
  const { fullPasses } = options;
  assert.ok(fullPasses.by === "errorBudget");
  const denoiser = new CurveDenoiser(slots, curve);
  const result = await denoise(denoiser, {
    plan,
    historySlots: slots,
    errorWindow: new ErrorWindow(STEPS, fullPasses),
    forecaster: createForecaster(options, STEPS),
    solver: createSolver({ _class_name: "FlowMatchEulerDiscreteScheduler" }, { steps: STEPS }),
    latents: new Float32Array(SIZE),
  });
  return { ...result, denoiser };
}

describe("ErrorWindow.next()", () => {
  it("warms up, then begins with the window that is given", () => {
    const window = new ErrorWindow(STEPS, OPTIONS);
    assert.deepEqual([0, 1, 2].map((step) => window.next(step, 9)), [1, 2, 4]);
  });

  it("widens by the root of budget over error, narrows likewise, and at most doubles or halves", () => {
    const next = (error: number) => new ErrorWindow(STEPS, { ...OPTIONS, windowSize: 4 }).next(10, error);
    assert.equal(next(0.1), 14);
    assert.equal(next(0.1 / 2.25), 16);
    assert.equal(next(0.1 * 2.25), 12);
    assert.equal(next(0), 18);
    assert.equal(next(100), 12);
  });

  it("never comes to a stop, and goes by the window it has where nothing was measured", () => {
    const window = new ErrorWindow(STEPS, OPTIONS);
    for (let step = 10; step < 20; step++) assert.equal(window.next(step, 100), step + 1);
    assert.equal(window.next(20, undefined), 21);
  });

  it("leaves a tail of full passes", () => {
    const window = new ErrorWindow(20, { ...OPTIONS, windowSize: 8, tailSteps: 3 });
    assert.deepEqual([10, 17, 18, 19].map((step) => window.next(step, 0.1)), [17, 18, 19, 20]);
  });
});

describe("denoise() under an error budget", () => {
  it("spends full passes where the feature bends", async () => {
    // Straight up to step 30, then waves: linear forecasts are exact on the first half.
    const curve = (step: number) => 10 + (step < 30 ? step / 10 : 3 + Math.sin(step - 30));
    const { fullSteps, plan, forecastErrors } = await run(curve, { errorBudget: 0.02 });
    const early = fullSteps.filter((step) => step >= 3 && step < 30).length;
    const late = fullSteps.filter((step) => step >= 30).length;
    assert.ok(early <= 4 && late >= 9, `${fullSteps}`);
    assert.deepEqual(fullSteps, [...plan.keys()].filter((step) => plan[step] === "full"));
    assert.equal(plan.length, STEPS);
    // Everything but the first pass measures, as the window depends on it.
    assert.deepEqual(forecastErrors.map(({ step }) => step), fullSteps.slice(1));
  });

  it("takes fewer full passes for a larger budget", async () => {
    const curve = (step: number) => 3 + Math.sin(step / 4);
    const counts = [];
    for (const errorBudget of [0.001, 0.01, 0.1, 1]) {
      counts.push((await run(curve, { errorBudget })).fullSteps.length);
    }
    assert.deepEqual(counts, counts.toSorted((a, b) => b - a));
    assert.ok(counts[0]! > 2 * counts[3]!, `${counts}`);
  });

  it("keeps the latest features, one a slot, and never reads the one that a pass overwrites", async () => {
    const curve = (step: number) => 1 + Math.sin(step) ** 2;
    const { denoiser, fullSteps } = await run(curve, { errorBudget: 1e-6 });
    assert.equal(denoiser.slots.length, MAX_BUDGET_SLOTS);
    assert.ok(fullSteps.length > 2 * MAX_BUDGET_SLOTS);
    for (const [i, call] of denoiser.calls.entries()) {
      assert.equal(call.slot, i % MAX_BUDGET_SLOTS);
      if (i >= MAX_BUDGET_SLOTS) assert.equal(call.check![call.slot!], 0);
    }
  });

  it("measures the same over a ring as over the whole history", async () => {
    // Linear forecasts read the last two features alone, wherever in the ring they are.
    const curve = (step: number) => 2 + Math.cos(step / 3);
    const { denoiser, fullSteps, forecastErrors } = await run(curve, { errorBudget: 1e-3 });
    assert.ok(fullSteps.length > MAX_BUDGET_SLOTS + 4);
    for (const { step, error } of forecastErrors.slice(2)) {
      const at = fullSteps.indexOf(step);
      const [a, b] = [fullSteps[at - 2]!, fullSteps[at - 1]!];
      const forecast = curve(b) + (step - b) / (b - a) * (curve(b) - curve(a));
      assert.ok(Math.abs(error - Math.abs(forecast / curve(step) - 1)) < 1e-9, `step ${step}`);
    }
    assert.ok(denoiser.forecasts.every(({ error }) => error < 0.05));
  });

  it("refuses a run that says nothing of its slots", async () => {
    const options = resolveSamplerOptions({}, STEPS);
    await assert.rejects(
      denoise(new CurveDenoiser(4, () => 1), {
        plan: planSteps(STEPS, options),
        errorWindow: new ErrorWindow(STEPS, OPTIONS),
        forecaster: createForecaster(options, STEPS),
        solver: createSolver({ _class_name: "FlowMatchEulerDiscreteScheduler" }, { steps: STEPS }),
        latents: new Float32Array(SIZE),
      }),
      { message: "Cannot denoise as 'errorWindow' takes 'historySlots'" },
    );
  });
});

describe("historySlots()", () => {
  it("is the plan's without a budget, and bounded with one", () => {
    const options = resolveSamplerOptions({}, 50);
    assert.equal(historySlots(planSteps(50, options), options), 14);
    const budget = resolveSamplerOptions({ errorBudget: 0.1 }, 50);
    assert.equal(historySlots(planSteps(50, budget), budget), MAX_BUDGET_SLOTS);
    assert.equal(historySlots(planSteps(4, budget), budget), 4);
    const none = resolveSamplerOptions({ method: "none", errorBudget: 0.1 }, 50);
    assert.equal(historySlots(planSteps(50, none), none), 0);
  });
});
