import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { type DenoiserLane, denoiserLanes } from "../../../gpu-worker/denoiser/denoiser_lanes.ts";
import type { ForecastCall, ForecastOptions, FullCall, PlannedForecasts } from "../../../sampler/mod.ts";

const LENGTH = 2;

/**
 * A network of three pictures that waits for the test. Outputs are ten times the
 * latents; forecasts record their sums.
 */
function openNetwork() {
  const prepared: (readonly PlannedForecasts[])[] = [];
  const asked: {
    latents?: number[];
    calls?: readonly ForecastCall[];
    options?: ForecastOptions;
    signal: AbortSignal | undefined;
  }[] = [];
  let go = Promise.withResolvers<void>();
  let disposed = 0;
  const lanes = denoiserLanes({
    full: async ({ latents, signal }) => {
      asked.push({ latents: [...latents], signal });
      await go.promise;
      signal?.throwIfAborted();
      return { output: latents.map((value) => value * 10), forecastErrors: [0.1, 0.2, 0.3] };
    },
    forecast: async (calls, options) => {
      asked.push({ calls, options: options!, signal: options?.signal });
      await go.promise;
      return options!.sums!.map((_, sum) =>
        Float32Array.from({ length: 3 * LENGTH }, (_, i) => 100 * sum + i)
      );
    },
    prepare: async (forecasts) => {
      prepared.push(forecasts);
      await go.promise;
    },
    [Symbol.dispose]: () => void disposed++,
  }, 3);
  return {
    lanes,
    asked,
    prepared,
    disposed: () => disposed,
    finish(error?: Error) {
      if (error) go.reject(error);
      else go.resolve();
      go = Promise.withResolvers();
    },
  };
}

function full(lane: DenoiserLane, value: number, signal?: AbortSignal) {
  const latents = new Float32Array(LENGTH).fill(value);
  const call: FullCall = { step: 0, timestep: 1, sigma: 1, latents, slot: 0, ...signal && { signal } };
  return lane.full(call);
}

const CALLS: ForecastCall[] = [1, 2].map((step) => ({
  step,
  timestep: 1,
  sigma: 1,
  weights: Float64Array.of(1),
}));

describe("denoiserLanes()", () => {
  it("runs once all lanes have asked, and gives each its own part", async () => {
    const { lanes, asked, finish } = openNetwork();
    const results = [full(lanes[2]!, 3), full(lanes[0]!, 1)];
    assert.equal(asked.length, 0);
    results.push(full(lanes[1]!, 2));
    assert.deepEqual(asked[0]!.latents, [1, 1, 2, 2, 3, 3]);
    finish();
    assert.deepEqual(await Promise.all(results), [
      { output: Float32Array.of(30, 30), forecastError: 0.3 },
      { output: Float32Array.of(10, 10), forecastError: 0.1 },
      { output: Float32Array.of(20, 20), forecastError: 0.2 },
    ]);
  });

  it("takes each sum that any lane wants once", async () => {
    const { lanes, asked, finish } = openNetwork();
    const both = Float64Array.of(0.5, 0.5);
    const results = [
      lanes[0]!.forecast(CALLS, { sums: [both] }),
      lanes[1]!.forecast(CALLS),
      lanes[2]!.forecast(CALLS, { sums: [Float64Array.from(both)] }),
    ];
    assert.deepEqual(asked[0]!.options!.sums, [both, Float64Array.of(1, 0), Float64Array.of(0, 1)]);
    finish();
    assert.deepEqual((await Promise.all(results)).map((outputs) => outputs.map((output) => [...output])), [
      [[0, 1]],
      [[102, 103], [202, 203]],
      [[4, 5]],
    ]);
  });

  it("prepares once for all, and asks for the very sums that were prepared", async () => {
    const { lanes, asked, prepared, finish } = openNetwork();
    const sums = [Float64Array.of(0.5, 0.5)];
    const planned = [{ calls: CALLS, sums }];
    // Each run has its own walk, equal to the others'.
    const walks = lanes.map((_, i) =>
      i === 1 ? { calls: CALLS, sums } : structuredClone({ calls: CALLS, sums })
    );
    const order = [1, 0, 2];
    const ready = order.map((i) => lanes[i]!.prepare([walks[i]!]));
    assert.deepEqual(prepared, [planned]);
    finish();
    await Promise.all(ready);
    const results = lanes.map((lane, i) => lane.forecast(walks[i]!.calls, { sums: walks[i]!.sums }));
    assert.equal(asked[0]!.calls, CALLS);
    assert.equal(asked[0]!.options!.sums, sums);
    finish();
    await Promise.all(results);
  });

  it("does not wait for a lane that has left, whose rows go on", async () => {
    const { lanes, asked, finish } = openNetwork();
    const results = [full(lanes[0]!, 1), full(lanes[1]!, 2)];
    lanes[2]![Symbol.dispose]();
    assert.deepEqual(asked[0]!.latents, [1, 1, 2, 2, 0, 0]);
    finish();
    assert.equal((await Promise.all(results)).length, 2);
  });

  it("tells a lane that aborts at once, and goes on for the others", async () => {
    const { lanes, asked, finish } = openNetwork();
    const controller = new AbortController();
    const aborted = full(lanes[0]!, 1, controller.signal);
    const others = [full(lanes[1]!, 2), full(lanes[2]!, 3)];
    controller.abort("enough");
    await assert.rejects(aborted, (reason) => reason === "enough");
    assert.equal(asked[0]!.signal, undefined);
    finish();
    assert.equal((await Promise.all(others)).length, 2);
  });

  it("ends the run when every lane in it has aborted, and tells the last one then", async () => {
    const { lanes, asked, finish } = openNetwork();
    const controllers = lanes.map(() => new AbortController());
    const told: number[] = [];
    const runs = lanes.map((lane, i) =>
      full(lane, i, controllers[i]!.signal).catch((reason) => told.push(reason))
    );
    for (const [i, controller] of controllers.entries()) {
      assert.equal(asked[0]!.signal!.aborted, false);
      controller.abort(i);
    }
    assert.equal(asked[0]!.signal!.aborted, true);
    await new Promise((resolve) => setTimeout(resolve));
    assert.deepEqual(told, [0, 1]);
    finish();
    await Promise.all(runs);
    assert.deepEqual(told, [0, 1, 2]);
  });

  it("is disposed of with its last lane, after the run that is under way", async () => {
    const { lanes, disposed, finish } = openNetwork();
    const runs = lanes.map((lane) => full(lane, 1));
    for (const lane of [...lanes, ...lanes]) lane[Symbol.dispose]();
    assert.equal(disposed(), 0);
    finish();
    await Promise.all(runs);
    await new Promise((resolve) => setTimeout(resolve));
    assert.equal(disposed(), 1);
  });

  it("fails for all when the network fails", async () => {
    const { lanes, finish } = openNetwork();
    const runs = lanes.map((lane) => full(lane, 1));
    const failure = new Error("out of memory");
    finish(failure);
    for (const run of runs) await assert.rejects(run, failure);
  });
});
