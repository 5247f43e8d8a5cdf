// Runs whose networks take turns: each phase plans, forecasts and counts for itself.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import {
  createForecaster,
  createSolver,
  denoise,
  type Denoiser,
  ErrorWindow,
  type ForecastCall,
  historySlots,
  phasedForecaster,
  phasedWindow,
  planSteps,
  resolveSamplerOptions,
  type SamplerOptions,
} from "../../../sampler/mod.ts";
import { walk } from "../../../sampler/walk.ts";

const STEPS = 30;
const PHASES = [0, 11];
const SOLVER = createSolver({ _class_name: "FlowMatchEulerDiscreteScheduler" }, { steps: STEPS });

function optionsOf(partial: Partial<SamplerOptions>) {
  const options = resolveSamplerOptions(partial, STEPS);
  const rule = { fullPasses: options.fullPasses, phases: PHASES };
  const plan = planSteps(STEPS, rule);
  return {
    fullPasses: options.fullPasses,
    phases: PHASES,
    plan,
    historySlots: historySlots(plan, rule),
    forecaster: phasedForecaster((steps) => createForecaster(options, steps), {
      steps: STEPS,
      phases: PHASES,
    }),
    solver: SOLVER,
  };
}

describe("planSteps() in phases", () => {
  it("plans each phase as a run of its own", () => {
    const { fullPasses } = resolveSamplerOptions({ warmupSteps: 3 }, STEPS);
    assert.deepEqual(planSteps(STEPS, { fullPasses, phases: PHASES }), [
      ...planSteps(11, { fullPasses }),
      ...planSteps(19, { fullPasses }),
    ]);
  });

  it("adds a full pass where a phase begins to passes that are given by their indices", () => {
    const plan = planSteps(STEPS, { fullPasses: { by: "fullSteps", fullSteps: [0, 5, 20] }, phases: PHASES });
    assert.deepEqual([...plan.keys()].filter((step) => plan[step] === "full"), [0, 5, 11, 20]);
  });

  it("refuses phases that do not ascend from 0", () => {
    for (const phases of [[], [1], [0, 5, 5], [0, STEPS]]) {
      assert.throws(() => planSteps(STEPS, { fullPasses: { by: "every" }, phases }), /must ascend from 0/);
    }
  });
});

describe("historySlots() in phases", () => {
  it("is that of the phase that needs most", () => {
    const rule = { fullPasses: { by: "fullSteps" as const, fullSteps: [0, 2, 5, 20] }, phases: PHASES };
    // Three of the first phase, and two of the second: 11 and 20.
    assert.equal(historySlots(planSteps(STEPS, rule), rule), 3);
  });
});

describe("walk() in phases", () => {
  it("forecasts from the slots of the step's own phase, by weights that count its steps", () => {
    const calls = [...walk(optionsOf({ warmupSteps: 3 }))];
    const own = resolveSamplerOptions({ warmupSteps: 3 }, STEPS);
    let anchors: number[] = [];
    let start = 0;
    for (const call of calls) {
      if (call.kind === "full") {
        if (call.pass.step === PHASES[1]) {
          anchors = [];
          start = call.pass.step;
          assert.equal(call.pass.check, undefined);
        }
        if (call.pass.slot !== undefined) assert.equal(call.pass.slot, anchors.length);
        anchors.push(call.pass.step - start);
        continue;
      }
      for (const { step, weights } of call.calls) {
        const length = start === 0 ? PHASES[1]! : STEPS - PHASES[1]!;
        const expected = createForecaster(own, length).weights(step - start, anchors);
        assert.deepEqual(weights, expected);
      }
      assert.ok(
        call.calls.every(({ step }) => (step < PHASES[1]!) === (start === 0)),
        "no gap spans two phases",
      );
    }
  });
});

/** A network per phase. They share one memory, in which the first leaves poison. */
class PoisonedMemory implements Denoiser {
  readonly memory: number[] = [];
  readonly errors: (number | undefined)[] = [];

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  full({ step, slot, check }: Parameters<Denoiser["full"]>[0]) {
    if (slot !== undefined) this.memory[slot] = step < PHASES[1]! ? NaN : 1;
    const isSecond = step >= PHASES[1]!;
    const forecast = check && isSecond ? this.#forecast(check) : undefined;
    const forecastError = check && Math.abs((forecast ?? 1) - 1) + 0.01;
    this.errors.push(forecastError);
    return Promise.resolve({
      output: Float32Array.of(0),
      ...forecastError !== undefined && { forecastError },
    });
  }

  forecast(calls: readonly ForecastCall[]) {
    return Promise.resolve(
      calls.map(({ step, weights }) => Float32Array.of(step < PHASES[1]! ? 0 : this.#forecast(weights))),
    );
  }

  #forecast(weights: Float64Array): number {
    return weights.reduce((sum, weight, slot) => sum + weight * this.memory[slot]!, 0);
  }
}

describe("denoise() in phases", () => {
  const METHODS: Partial<SamplerOptions>[] = [
    { method: "spectrum", warmupSteps: 3 },
    { method: "taylorseer", warmupSteps: 3 },
    { method: "reuse" },
    { method: "spectrum", errorBudget: 0.05, warmupSteps: 3 },
  ];
  for (const partial of METHODS) {
    it(`never reads features of an earlier phase: ${JSON.stringify(partial)}`, async () => {
      const { fullPasses, ...options } = optionsOf(partial);
      const denoiser = new PoisonedMemory();
      const { latents, plan } = await denoise(denoiser, {
        ...options,
        latents: Float32Array.of(0),
        latentsAt: () => true,
        ...fullPasses.by === "errorBudget" && {
          errorWindow: phasedWindow((steps) => new ErrorWindow(steps, fullPasses), {
            steps: STEPS,
            phases: PHASES,
          }),
        },
      });
      assert.equal(plan[PHASES[1]!], "full");
      assert.ok(
        plan.slice(PHASES[1]).includes("forecast"),
        "the second phase forecasts, or nothing is shown",
      );
      assert.ok(Number.isFinite(latents[0]), "poison has reached the latents");
      assert.ok(denoiser.errors.every((error) => error === undefined || Number.isFinite(error)));
    });
  }
});
