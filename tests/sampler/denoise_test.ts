// The denoise loop against a made-up network. Past 400 lines, because all cases share that network
// and its record of calls.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import {
  createForecaster,
  createSolver,
  denoise,
  type DenoiseOptions,
  type Denoiser,
  type ForecastCall,
  type ForecastOptions,
  type FullCall,
  type FullResult,
  type PlannedForecasts,
  planSteps,
  resolveSamplerOptions,
  type SamplerOptions,
  type StepEvent,
  TorchGenerator,
} from "../../sampler/mod.ts";

const STEPS = 20;
const SIZE = 32;

/**
 * A linear network whose exact path is known: its feature is target - x, its head scales with the timestep
 * embedding. The history is checked on the way: slots fill in order and are read only once filled.
 */
class LinearDenoiser implements Denoiser {
  readonly history: Float32Array[] = [];
  readonly fullCalls: FullCall[] = [];
  readonly forecastCalls: ForecastCall[][] = [];
  readonly sums: Float64Array[] = [];
  readonly signals = new Set<AbortSignal | undefined>();
  readonly #target = new TorchGenerator(1).randn(SIZE);

  prepare(_forecasts: readonly PlannedForecasts[]): Promise<void> {
    return Promise.resolve();
  }

  full(call: FullCall): Promise<FullResult> {
    this.fullCalls.push({ ...call, latents: call.latents.slice() });
    this.signals.add(call.signal);
    const feature = call.latents.map((x, i) => this.#target[i]! - x);
    const result: FullResult = { output: this.#head(feature, call.sigma) };
    if (call.check !== undefined) result.forecastError = distance(this.#forecast(call.check), feature);
    if (call.slot !== undefined) {
      assert.equal(call.slot, this.history.length);
      this.history.push(feature);
    }
    return Promise.resolve(result);
  }

  forecast(calls: readonly ForecastCall[], { sums, signal }: ForecastOptions = {}): Promise<Float32Array[]> {
    this.forecastCalls.push([...calls]);
    this.signals.add(signal);
    const outputs = calls.map((call) => this.#head(this.#forecast(call.weights), call.sigma));
    const sumOf = (weights: Float64Array) =>
      new Float32Array(SIZE).map((_, f) =>
        outputs.reduce((sum, output, i) => sum + weights[i]! * output[f]!, 0)
      );
    if (sums) this.sums.push(...sums);
    return Promise.resolve(sums ? sums.map(sumOf) : outputs);
  }

  #forecast(weights: Float64Array): Float32Array {
    assert.ok(weights.length <= this.history.length, "weights over slots that are not filled");
    return Float32Array.from(
      { length: SIZE },
      (_, f) => weights.reduce((sum, weight, slot) => sum + weight * this.history[slot]![f]!, 0),
    );
  }

  #head(feature: Float32Array, sigma: number): Float32Array {
    return feature.map((value) => -(0.5 + sigma) * value);
  }
}

function distance(forecast: Float32Array, feature: Float32Array): number {
  const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));
  return norm(forecast.map((value, i) => value - feature[i]!)) / norm(feature);
}

function optionsOf(partial: Partial<SamplerOptions> = {}): DenoiseOptions {
  const options = resolveSamplerOptions(partial, STEPS);
  return {
    plan: planSteps(STEPS, options),
    forecaster: createForecaster(options, STEPS),
    solver: createSolver({ _class_name: "FlowMatchEulerDiscreteScheduler", shift: 3 }, { steps: STEPS }),
    latents: new TorchGenerator(42).randn(SIZE),
  };
}

function run(
  partial: Partial<SamplerOptions> = {},
  extra: Partial<DenoiseOptions> = {},
  denoiser = new LinearDenoiser(),
) {
  return { denoiser, result: denoise(denoiser, { ...optionsOf(partial), ...extra }) };
}

describe("denoise()", () => {
  it("follows the solver alone under none, and stores no history", async () => {
    const { denoiser, result } = run({ method: "none" });
    const { latents, fullSteps, forecastErrors } = await result;
    assert.deepEqual(fullSteps, [...Array(STEPS).keys()]);
    assert.deepEqual(forecastErrors, []);
    assert.ok(denoiser.fullCalls.every((call) => call.slot === undefined && call.check === undefined));
    assert.deepEqual(denoiser.forecastCalls, []);

    const solver = createSolver({ _class_name: "FlowMatchEulerDiscreteScheduler", shift: 3 }, {
      steps: STEPS,
    });
    const expected = new TorchGenerator(42).randn(SIZE);
    const network = new LinearDenoiser();
    for (let step = 0; step < STEPS; step++) {
      const [timestep, sigma] = [solver.timesteps[step]!, solver.sigmas[step]!];
      const { output } = await network.full({ step, timestep, sigma, latents: expected, slot: undefined });
      solver.step(step, output, expected);
    }
    assert.deepEqual(latents, expected);
  });

  it("comes near the full run with forecasts, spectrum nearer than reuse", async () => {
    const schedule = { windowSize: 2, flexWindow: 0.75, warmupSteps: 5 };
    const none = await run({ method: "none" }).result;
    const spectrum = await run({ method: "spectrum", ...schedule }).result;
    const reuse = await run({ method: "reuse", ...schedule }).result;
    const error = distance(spectrum.latents, none.latents);
    assert.ok(error > 0 && error < 0.02, `error ${error}`);
    assert.ok(error < distance(reuse.latents, none.latents));
  });

  it("asks for a whole gap at once", async () => {
    const { denoiser, result } = run({ flexWindow: 3 });
    await result;
    const steps = denoiser.forecastCalls.map((calls) => calls.map(({ step }) => step));
    assert.deepEqual(steps, [[5], [7, 8, 9, 10], [12, 13, 14, 15, 16, 17, 18]]);
  });

  it("takes forecasts whose latents nobody wants as one sum, and every other step exactly", async () => {
    const seen = new Map<number, [Float32Array, Float32Array]>();
    const look = ({ index, latents, predictOriginal }: StepEvent) =>
      void seen.set(index, [latents.slice(), predictOriginal()]);
    const single = run({ flexWindow: 3 }, { onStep: look });
    const expected = await single.result;
    const exact = new Map(seen);

    const indices: number[] = [];
    const { denoiser, result } = run({ flexWindow: 3 }, {
      latentsAt: (index) => index === 14,
      onStep: (event) => {
        indices.push(event.index);
        if (event.kind === "full" || event.index === 14) look(event);
        else if (event.index === 8) assert.throws(() => event.latents, /latents of step 8 as 'latentsAt'/);
      },
    });
    const { latents } = await result;
    assert.deepEqual(indices, [...Array(STEPS).keys()]);
    assert.ok(distance(latents, expected.latents) < 1e-6);
    for (const [index, arrays] of seen) {
      for (const [i, array] of arrays.entries()) assert.ok(distance(array, exact.get(index)![i]!) < 1e-6);
    }
    // Gaps 5, 7..10 and 12..18; a forecast alone in its gap is no sum.
    const { sigmas } = createSolver({ _class_name: "FlowMatchEulerDiscreteScheduler", shift: 3 }, {
      steps: STEPS,
    });
    const moves = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, i) => Math.fround(sigmas[from + i + 1]! - sigmas[from + i]!));
    const zeros = (count: number) => Array<number>(count).fill(0);
    assert.deepEqual(denoiser.sums.map((weights) => [...weights]), [
      moves(7, 10),
      [...moves(12, 13), ...zeros(5)],
      [0, 0, 1, ...zeros(4)],
      [...zeros(3), ...moves(15, 18)],
    ]);
  });

  it("takes every step by itself where the solver adds more than outputs", async () => {
    const solver = createSolver({
      _class_name: "UniPCMultistepScheduler",
      prediction_type: "flow_prediction",
      use_flow_sigmas: true,
    }, { steps: STEPS });
    const { denoiser, result } = run({ flexWindow: 3 }, { solver, latentsAt: () => false });
    await result;
    assert.deepEqual(denoiser.sums, []);
  });

  it("announces the forecasts of a fixed plan while its first pass runs", async () => {
    const announced: (readonly ForecastCall[])[] = [];
    class Prepared extends LinearDenoiser {
      override prepare(forecasts: readonly PlannedForecasts[]): Promise<void> {
        assert.equal(this.fullCalls.length, 1);
        announced.push(...forecasts.map(({ calls }) => calls));
        return Promise.resolve();
      }

      override forecast(calls: readonly ForecastCall[], options?: ForecastOptions): Promise<Float32Array[]> {
        assert.equal(calls, announced.shift());
        return super.forecast(calls, options);
      }
    }
    const { latents } = await run({ flexWindow: 3 }, {}, new Prepared()).result;
    assert.deepEqual(announced, []);
    assert.deepEqual(latents, (await run({ flexWindow: 3 }).result).latents);
  });

  it("ends with no pass under way when the announcement fails", async () => {
    const events: string[] = [];
    class Failing extends LinearDenoiser {
      override prepare(): Promise<void> {
        return Promise.reject(new Error("no memory"));
      }

      override async full(call: FullCall): Promise<FullResult> {
        const result = await super.full(call);
        await new Promise((resolve) => setTimeout(resolve));
        events.push("pass");
        return result;
      }
    }
    await assert.rejects(run({}, {}, new Failing()).result, /no memory/);
    assert.deepEqual(events, ["pass"]);
  });

  it("fills one slot for each full pass that a forecast follows", async () => {
    const { denoiser, result } = run({ flexWindow: 3 });
    assert.deepEqual((await result).fullSteps, [0, 1, 2, 3, 4, 6, 11, 19]);
    assert.deepEqual(denoiser.fullCalls.map(({ slot }) => slot), [0, 1, 2, 3, 4, 5, 6, undefined]);
  });

  it("passes each step's place on the solver's grid", async () => {
    const { denoiser, result } = run();
    await result;
    const { timesteps, sigmas } = createSolver(
      { _class_name: "FlowMatchEulerDiscreteScheduler", shift: 3 },
      { steps: STEPS },
    );
    const calls = [...denoiser.fullCalls, ...denoiser.forecastCalls.flat()];
    assert.equal(calls.length, STEPS);
    for (const { step, timestep, sigma } of calls) {
      assert.deepEqual([timestep, sigma], [timesteps[step], sigmas[step]]);
    }
  });

  it("measures at every full pass but the first how far its forecast would have been off", async () => {
    const { denoiser, result } = run({ flexWindow: 3 });
    const { fullSteps, forecastErrors } = await result;
    assert.deepEqual(forecastErrors.map(({ step }) => step), fullSteps.slice(1));
    // At step 1 the history is that of step 0 alone. The denoiser sums in float32.
    const forecaster = createForecaster(resolveSamplerOptions({ flexWindow: 3 }, STEPS), STEPS);
    const [h0, h1] = denoiser.history as [Float32Array, Float32Array];
    const [weight] = forecaster.weights(1, [0]);
    assert.ok(Math.abs(forecastErrors[0]!.error - distance(h0.map((value) => value * weight!), h1)) < 1e-6);
  });

  it("measures nothing once the history is incomplete, or when told not to", async () => {
    const plan = ["full", "full", "forecast", "full", "full", "full"] as const;
    const solver = createSolver({ _class_name: "FlowMatchEulerDiscreteScheduler" }, { steps: plan.length });
    const { forecastErrors } = await run({}, { plan, solver }).result;
    assert.deepEqual(forecastErrors.map(({ step }) => step), [1, 3]);
    const { denoiser, result } = run({}, { measureForecastError: false });
    assert.deepEqual((await result).forecastErrors, []);
    assert.ok(denoiser.fullCalls.every((call) => call.check === undefined));
  });

  it("reports each step in order, with its kind, time, error and estimate", async () => {
    const events: StepEvent[] = [];
    const estimates: Float32Array[] = [];
    let clock = 1000;
    const { result } = run({}, {
      now: () => clock += 10,
      onStep: async (event) => {
        await Promise.resolve();
        events.push({ ...event, latents: event.latents.slice() });
        estimates.push(event.predictOriginal());
      },
    });
    const { latents, fullSteps, forecastErrors, elapsedMs } = await result;
    assert.deepEqual(events.map(({ index }) => index), [...Array(STEPS).keys()]);
    assert.deepEqual(events.filter(({ kind }) => kind === "full").map(({ index }) => index), fullSteps);
    assert.deepEqual(
      events.flatMap(({ forecastError }) => forecastError ?? []),
      forecastErrors.map(({ error }) => error),
    );
    assert.deepEqual(events.map((event) => event.elapsedMs), events.map((_, i) => 10 * (i + 1)));
    assert.equal(elapsedMs, 10 * (STEPS + 1));
    assert.deepEqual(events.at(-1)!.latents, latents);
    // The last step of a flow ends at sigma 0, where its estimate is the result.
    assert.deepEqual(estimates.at(-1), latents);
    // Before: x - sigma v with the v that led from one event's latents to the next; v loses
    // digits in that difference.
    const [from, to] = [events[4]!.latents, events[5]!.latents];
    const slope = events[5]!.sigma / (events[6]!.sigma - events[5]!.sigma);
    assert.ok(distance(from.map((x, i) => x - slope * (to[i]! - x)), estimates[5]!) < 1e-5);
  });

  it("leaves the initial latents as they are", async () => {
    const latents = new TorchGenerator(42).randn(SIZE);
    assert.notDeepEqual((await run({}, { latents }).result).latents, latents);
    assert.deepEqual(latents, new TorchGenerator(42).randn(SIZE));
  });

  it("gives the model input that the solver scales", async () => {
    const solver = createSolver({ _class_name: "FlowMatchEulerDiscreteScheduler" }, { steps: STEPS });
    solver.scaleModelInput = (index, latents) => latents.map((value) => value * (index + 1));
    const inputs: number[] = [];
    const { denoiser, result } = run({ method: "none" }, {
      solver,
      onStep: ({ index, latents }) => void (inputs[index + 1] = Math.fround(latents[0]! * (index + 2))),
    });
    await result;
    const given = denoiser.fullCalls.map(({ latents }) => latents[0]!);
    assert.deepEqual(given.slice(1), inputs.slice(1, STEPS));
  });

  it("throws the signal's reason before the next step, also amid a batch of forecasts", async () => {
    for (const last of [2, 8]) {
      const controller = new AbortController();
      const reason = new DOMException("viewer left", "AbortError");
      const seen: number[] = [];
      const { denoiser, result } = run({ flexWindow: 3 }, {
        signal: controller.signal,
        onStep: ({ index }) => {
          seen.push(index);
          if (index === last) controller.abort(reason);
        },
      });
      await assert.rejects(result, (error) => error === reason);
      assert.equal(seen.at(-1), last);
      assert.ok(denoiser.fullCalls.every(({ step }) => step <= last));
      assert.deepEqual([...denoiser.signals], [controller.signal]);
    }
  });

  it("runs nothing on a signal that is already aborted", async () => {
    const { denoiser, result } = run({}, { signal: AbortSignal.abort() });
    await assert.rejects(result, { name: "AbortError" });
    assert.deepEqual(denoiser.fullCalls, []);
  });

  it("gives the same result after an aborted run with the same solver and forecaster", async () => {
    const solver = createSolver({ _class_name: "FlowMatchEulerDiscreteScheduler", shift: 3 }, {
      steps: STEPS,
    });
    const forecaster = createForecaster(resolveSamplerOptions({}, STEPS), STEPS);
    const aborted = run({}, {
      solver,
      forecaster,
      onStep: ({ index }) => {
        if (index === 9) throw new Error("client gone");
      },
    });
    await assert.rejects(aborted.result, { message: "client gone" });
    const again = await run({}, { solver, forecaster }).result;
    assert.deepEqual(again.latents, (await run().result).latents);
  });

  it("resets the solver before the first step", async () => {
    const solver = createSolver({ _class_name: "FlowMatchEulerDiscreteScheduler" }, { steps: STEPS });
    const calls: string[] = [];
    solver.reset = () => calls.push("reset");
    solver.step = (index) => calls.push(`step ${index}`);
    await run({}, { solver }).result;
    assert.deepEqual(calls.slice(0, 2), ["reset", "step 0"]);
    assert.equal(calls.length, 1 + STEPS);
  });

  it("refuses plans that do not fit", async () => {
    const plan = ["forecast", ...Array(STEPS - 1).fill("full")];
    await assert.rejects(run({}, { plan }).result, {
      name: "RangeError",
      message: "Cannot denoise as the plan must open with a full pass",
    });
    await assert.rejects(run({}, { plan: ["full"] }).result, {
      name: "RangeError",
      message: "Cannot denoise as the plan has 1 steps and the solver 20",
    });
  });

  it("refuses a denoiser that loses a forecast", async () => {
    const denoiser = new LinearDenoiser();
    denoiser.forecast = () => Promise.resolve([]);
    const options = resolveSamplerOptions({}, STEPS);
    const result = denoise(denoiser, {
      plan: planSteps(STEPS, options),
      forecaster: createForecaster(options, STEPS),
      solver: createSolver({ _class_name: "FlowMatchEulerDiscreteScheduler" }, { steps: STEPS }),
      latents: new Float32Array(SIZE),
    });
    await assert.rejects(result, { message: "Cannot denoise as 1 forecasts gave 0 outputs" });
  });
});
