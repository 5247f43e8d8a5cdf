import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import {
  countSkippingSlots,
  SkipLayerDenoiser,
} from "../../../../gpu-worker/families/sd3/skip_layer_denoiser.ts";
import {
  completeSkipLayerGuidance,
  guidesStep,
  type SkipLayerGuidance,
} from "../../../../gpu-worker/request/skip_layer_guidance.ts";
import type { Denoiser, ForecastCall, PlannedForecasts, StepKind } from "../../../../sampler/mod.ts";

const STEPS = 10;
/** Guides steps 3..6. */
const GUIDANCE: SkipLayerGuidance = { layers: [0], scale: 2, start: 0.2, stop: 0.7 };
const PLAN: StepKind[] = [..."FFFfFffffF"].map((kind) => kind === "F" ? "full" : "forecast");

/** Returns the same numbers at every step. Records the steps it was called for, and the slots. */
class Recorder implements Denoiser, Disposable {
  readonly fulls: [step: number, slot: number | undefined][] = [];
  readonly forecasts: number[] = [];
  readonly prepared: PlannedForecasts[] = [];
  readonly asked: (readonly ForecastCall[])[] = [];
  disposed = false;
  readonly #output: Float32Array;

  constructor(...output: number[]) {
    this.#output = Float32Array.from(output);
  }

  full({ step, slot, check }: Parameters<Denoiser["full"]>[0]) {
    this.fulls.push([step, slot]);
    return Promise.resolve({ output: this.#output, ...check && { forecastError: 0.5 } });
  }

  prepare(forecasts: readonly PlannedForecasts[]) {
    this.prepared.push(...forecasts);
    return Promise.resolve();
  }

  forecast(calls: Parameters<Denoiser["forecast"]>[0]) {
    this.asked.push(calls);
    this.forecasts.push(...calls.map(({ step }) => step));
    return Promise.resolve(calls.map(() => this.#output));
  }

  [Symbol.dispose]() {
    this.disposed = true;
  }
}

/**
 * Rows (prompt, negative) = (3, 1), prompt with blocks skipped = 2.5, guidance 4: 1 + 4
 * * 2 = 9, then + 2 * 0.5.
 */
function setUp() {
  const branches = new Recorder(3, 1);
  const skipping = new Recorder(2.5);
  const slots = countSkippingSlots(PLAN, GUIDANCE);
  const options = { branches, skipping, slots, steps: STEPS, guidanceScale: 4, guidance: GUIDANCE };
  return { branches, skipping, denoiser: new SkipLayerDenoiser(options) };
}

const at = (step: number) => ({ step, timestep: 0, sigma: 0 });
const latents = new Float32Array(1);

describe("SkipLayerDenoiser", () => {
  it("adds the effect of the skipped blocks in guided steps only", async () => {
    const { denoiser } = setUp();
    const outputOf = async (
      step: number,
    ) => [...(await denoiser.full({ ...at(step), latents, slot: undefined })).output];
    assert.deepEqual(await outputOf(2), [9]);
    assert.deepEqual(await outputOf(3), [10]);
    assert.deepEqual(await outputOf(6), [10]);
    assert.deepEqual(await outputOf(7), [9]);
  });

  it("fills the skipping pass's history before its first forecast, and not past its last", async () => {
    const { denoiser, branches, skipping } = setUp();
    const fulls = PLAN.flatMap((kind, step) => kind === "full" ? [step] : []);
    for (const [slot, step] of fulls.entries()) {
      await denoiser.full({ ...at(step), latents, slot: step < 9 ? slot : undefined });
    }
    assert.deepEqual(branches.fulls, [[0, 0], [1, 1], [2, 2], [4, 3], [9, undefined]]);
    assert.deepEqual(skipping.fulls, [[0, 0], [1, 1], [2, 2], [4, 3]]);
  });

  it("forecasts the pass that skips in guided steps only", async () => {
    const { denoiser, branches, skipping } = setUp();
    const calls = [5, 6, 7, 8].map((step) => ({ ...at(step), weights: new Float64Array(4) }));
    const outputs = await denoiser.forecast(calls);
    assert.deepEqual(outputs.map(([value]) => value), [10, 10, 9, 9]);
    assert.deepEqual(branches.forecasts, [5, 6, 7, 8]);
    assert.deepEqual(skipping.forecasts, [5, 6]);
  });

  it("prepare() announces to each of the two the very calls that it gets", async () => {
    const { denoiser, branches, skipping } = setUp();
    const gaps = [[3], [5, 6, 7, 8], [8]].map((steps) =>
      steps.map((step) => ({ ...at(step), weights: new Float64Array(4) }))
    );
    const sums = [Float64Array.of(1)];
    await denoiser.prepare(gaps.map((calls) => ({ calls, sums })));
    for (const calls of gaps) {
      await denoiser.forecast(calls, { sums: calls.map(() => new Float64Array(calls.length)) });
    }
    for (const { prepared, asked } of [branches, skipping]) {
      assert.equal(prepared.length, asked.length);
      for (const [i, planned] of prepared.entries()) {
        assert.equal(planned.calls, asked[i]);
        // Guidance is more than a sum.
        assert.equal(planned.sums, undefined);
      }
    }
    assert.deepEqual(skipping.forecasts, [3, 5, 6]);
  });

  it("passes on the branches' measured error, and does not measure its own", async () => {
    const { denoiser } = setUp();
    const { forecastError } = await denoiser.full({ ...at(4), latents, slot: 3, check: new Float64Array(3) });
    assert.equal(forecastError, 0.5);
  });

  it("disposes both denoisers", () => {
    const { denoiser, branches, skipping } = setUp();
    denoiser[Symbol.dispose]();
    assert.ok(branches.disposed && skipping.disposed);
  });
});

describe("countSkippingSlots()", () => {
  it("counts the full passes that a guided forecast follows", () => {
    assert.equal(countSkippingSlots(PLAN, GUIDANCE), 4);
    assert.equal(countSkippingSlots(PLAN, { ...GUIDANCE, stop: 0.4 }), 3);
    assert.equal(countSkippingSlots(PLAN, { ...GUIDANCE, start: 0, stop: 0 }), 0);
    assert.equal(countSkippingSlots(PLAN.map(() => "full"), GUIDANCE), 0);
  });
});

describe("guidesStep()", () => {
  it("guides the steps that diffusers guides by default, of 50 and of 28", () => {
    const guidance = completeSkipLayerGuidance({ layers: [7] }, { skippableLayers: 24, guidanceScale: 7 });
    const guided = (steps: number) =>
      Array.from({ length: steps }, (_, step) => step).filter((step) =>
        guidesStep(guidance, { step, steps })
      );
    assert.deepEqual(guided(50), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.deepEqual(guided(28), [1, 2, 3, 4, 5]);
  });
});

describe("completeSkipLayerGuidance()", () => {
  const complete = (fields: object) =>
    completeSkipLayerGuidance({ layers: [1], ...fields }, { skippableLayers: 4, guidanceScale: 7 });

  it("fills in diffusers' defaults", () => {
    assert.deepEqual(complete({}), { layers: [1], scale: 2.8, start: 0.01, stop: 0.2 });
  });

  it("refuses options without effect or meaning", () => {
    assert.throws(() => complete({ layers: [] }), /layers in 0\.\.3: current value is \[\]/);
    assert.throws(() => complete({ layers: [1.5] }), /layers in 0\.\.3/);
    assert.throws(() => complete({ scale: -1 }), /scale in 0\.\.100.* -1/);
    assert.throws(() => complete({ start: 0.5 }), /0 <= start <= stop <= 1: current value is 0.5\.\.0.2/);
    const none = { skippableLayers: 0, guidanceScale: 7 };
    assert.throws(() => completeSkipLayerGuidance({ layers: [1] }, none), /not known to this family/);
  });
});
