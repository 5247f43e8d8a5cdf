import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import {
  completeSampler,
  type CompleteSamplerOptions,
  type GivenSampler,
} from "../../../gpu-worker/request/complete_sampler.ts";
import { flattenSamplerOptions, SAMPLER_DEFAULTS, type SamplerOptions } from "../../../sampler/mod.ts";

const CHECKPOINT: CompleteSamplerOptions = {
  own: { passes: 3 },
  calibration: {
    plans: {
      20: {
        3: { fullSteps: [0, 6, 15], psnr: 36 },
        4: { fullSteps: [0, 4, 9, 16], psnr: 43 },
        6: { fullSteps: [0, 2, 5, 9, 13, 17], psnr: 50 },
      },
    },
  },
  steps: 20,
};
const UNCALIBRATED: CompleteSamplerOptions = { own: {}, calibration: undefined, steps: 20 };

function complete(given: GivenSampler, checkpoint: CompleteSamplerOptions): SamplerOptions {
  return flattenSamplerOptions(completeSampler(given, checkpoint));
}

describe("completeSampler()", () => {
  it("takes the calibration's plan for the checkpoint's or the requested passes", () => {
    const own = complete({}, CHECKPOINT);
    assert.deepEqual([own.method, own.passes, own.fullSteps], ["calibrated", 3, [0, 6, 15]]);
    const four = complete({ passes: 4 }, CHECKPOINT);
    assert.deepEqual([four.method, four.passes, four.fullSteps], ["calibrated", 4, [0, 4, 9, 16]]);
    const other = complete({ method: "reuse", passes: 4 }, CHECKPOINT);
    assert.deepEqual([other.method, other.fullSteps], ["reuse", [0, 4, 9, 16]]);
    // A fit of five columns needs five passes.
    assert.equal(complete({ method: "spectrum", passes: 3 }, CHECKPOINT).m, 2);
  });

  it("takes a plan at any number of steps", () => {
    assert.deepEqual(complete({ passes: 4 }, { ...CHECKPOINT, steps: 50 }).fullSteps, [0, 10, 23, 40]);
    assert.equal(complete({ passes: 11 }, { ...CHECKPOINT, steps: 30 }).fullSteps?.length, 11);
    assert.deepEqual(complete({}, { ...CHECKPOINT, steps: 2 }).fullSteps, [0, 1]);
  });

  it("takes the fewest passes that reach the requested quality, which is good by default", () => {
    const passes = (given: GivenSampler, checkpoint = CHECKPOINT) => complete(given, checkpoint).passes;
    assert.deepEqual(
      [passes({ quality: "draft" }), passes({ quality: "good" }), passes({ quality: "high" })],
      [3, 4, 6],
    );
    assert.equal(passes({}, { ...CHECKPOINT, own: {} }), 4);
  });

  it("keeps the passes of the steps that remain where a run starts from an image", () => {
    assert.deepEqual(complete({}, { ...CHECKPOINT, skipped: 8 }).fullSteps, [0, 7]);
    assert.deepEqual(complete({ passes: 4 }, { ...CHECKPOINT, skipped: 8 }).fullSteps?.length, 4);
  });

  it("goes by the window where one is asked for, and for other methods", () => {
    const windows = [{ flexWindow: 0.75 }, { windowSize: 3 }, { tailSteps: 1 }, { errorBudget: 0.1 }, {
      passes: 0,
    }];
    for (const given of windows) {
      const { passes, fullSteps } = complete(given, CHECKPOINT);
      assert.deepEqual([passes, fullSteps], [0, undefined], JSON.stringify(given));
    }
    assert.equal(complete({ method: "taylorseer" }, CHECKPOINT).fullSteps, undefined);
    assert.equal(complete({ method: "none", passes: 4 }, CHECKPOINT).fullSteps, undefined);
    assert.equal(complete({}, { ...CHECKPOINT, own: { method: "spectrum" } }).fullSteps, undefined);
  });

  it("has the published settings without a calibration, also if the checkpoint's method differs", () => {
    assert.deepEqual(complete({}, UNCALIBRATED), SAMPLER_DEFAULTS.spectrum);
    const own = { method: "calibrated", passes: 8 } as const;
    assert.deepEqual(complete({}, { ...UNCALIBRATED, own }), SAMPLER_DEFAULTS.spectrum);
  });

  it("takes the method that reads an option which the checkpoint's own method does not read", () => {
    const asked = (given: GivenSampler) => complete(given, CHECKPOINT).method;
    assert.deepEqual([asked({ w: 0.5 }), asked({ order: 2 }), asked({ windowSize: 3 })], [
      "spectrum",
      "taylorseer",
      "calibrated",
    ]);
    assert.equal(asked({ method: "reuse", w: 0.5 }), "reuse");
    assert.equal(complete({ w: 0.5 }, UNCALIBRATED).method, "spectrum");
  });

  it("has no forecasts below 9 steps unless the request or the checkpoint says how", () => {
    const method = (given: GivenSampler, own: Partial<SamplerOptions>, steps: number) =>
      complete(given, { own, calibration: undefined, steps }).method;
    assert.deepEqual([method({}, {}, 8), method({}, {}, 9)], ["none", "spectrum"]);
    assert.deepEqual([method({ w: 1 }, {}, 8), method({ method: "reuse" }, {}, 8)], ["spectrum", "reuse"]);
    assert.equal(method({}, { method: "spectrum" }, 8), "spectrum");
    // Without its file a calibration says nothing.
    assert.equal(method({}, { method: "calibrated", passes: 3 }, 8), "none");

    const calibrated = (given: GivenSampler, steps: number) =>
      complete(given, { ...CHECKPOINT, own: {}, steps }).method;
    assert.deepEqual([calibrated({}, 8), calibrated({ quality: "good" }, 8)], ["none", "calibrated"]);
    const plans = { 8: { 5: { fullSteps: [0, 1, 2, 4, 6], psnr: 44 } } };
    const short = complete({}, { own: {}, calibration: { plans }, steps: 8 });
    assert.deepEqual([short.method, short.fullSteps], ["calibrated", [0, 1, 2, 4, 6]]);
  });

  it("takes steps by their indices", () => {
    const { passes, fullSteps } = complete({ fullSteps: [0, 1, 19] }, CHECKPOINT);
    assert.deepEqual([passes, fullSteps], [0, [0, 1, 19]]);
  });

  it("drops the checkpoint's error budget where steps are asked for", () => {
    const budget = { ...CHECKPOINT, own: { method: "spectrum", errorBudget: 0.1 } } as const;
    assert.equal(complete({}, budget).errorBudget, 0.1);
    assert.deepEqual(complete({ fullSteps: [0, 1, 19] }, budget).fullSteps, [0, 1, 19]);
    assert.deepEqual(complete({ passes: 4 }, budget).passes, 4);
  });

  it("refuses options of a missing calibration, and two ways to choose the passes", () => {
    const cases: [GivenSampler, CompleteSamplerOptions, string][] = [
      [
        { passes: 21 },
        CHECKPOINT,
        "'passes' must be a whole number in 0..20, the steps: current value is 21",
      ],
      [
        { passes: 4 },
        UNCALIBRATED,
        "'passes' must be 0, as this checkpoint has no calibration: current value is 4",
      ],
      [
        { quality: "high" },
        UNCALIBRATED,
        "'quality' must be left out, as this checkpoint has no calibration: current value is high",
      ],
      [{ method: "calibrated" }, UNCALIBRATED, "'method' must not be calibrated, as this checkpoint has no"],
      [
        { quality: "best" as "high" },
        CHECKPOINT,
        "'quality' must be one of draft, good, high: current value is best",
      ],
      [
        { passes: 4, flexWindow: 3 },
        CHECKPOINT,
        "'passes' and 'flexWindow' exclude each other: current values are 4 and 3",
      ],
      [{ passes: 4, fullSteps: [0, 1] }, CHECKPOINT, "'passes' and 'fullSteps' exclude each other"],
      [{ passes: 4, quality: "good" }, CHECKPOINT, "'passes' and 'quality' exclude each other"],
      [{ quality: "good", tailSteps: 1 }, CHECKPOINT, "'quality' and 'tailSteps' exclude each other"],
    ];
    for (const [given, checkpoint, message] of cases) {
      assert.throws(() => complete(given, checkpoint), (error: Error) => {
        assert.equal(error.name, "RangeError");
        assert.ok(error.message.startsWith(`Cannot generate as ${message}`), error.message);
        return true;
      });
    }
  });
});
