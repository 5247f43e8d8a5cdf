import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import {
  completeSampler,
  type CompleteSamplerOptions,
} from "../../../gpu-worker/request/complete_sampler.ts";
import { flattenSamplerOptions, SAMPLER_DEFAULTS, type SamplerOptions } from "../../../sampler/mod.ts";

const CHECKPOINT: CompleteSamplerOptions = {
  own: { method: "spectrum", passes: 3 },
  plans: { 20: { 3: [0, 6, 15], 4: [0, 4, 9, 16] } },
  steps: 20,
};

function complete(given: Partial<SamplerOptions>, checkpoint: CompleteSamplerOptions): SamplerOptions {
  return flattenSamplerOptions(completeSampler(given, checkpoint));
}

describe("completeSampler()", () => {
  it("takes the checkpoint's plan for its own number of passes, or for the one asked for", () => {
    const own = complete({}, CHECKPOINT);
    assert.deepEqual([own.passes, own.fullSteps], [3, [0, 6, 15]]);
    // A fit of five columns needs five passes.
    assert.equal(own.m, 2);
    const four = complete({ passes: 4 }, CHECKPOINT);
    assert.deepEqual([four.passes, four.fullSteps], [4, [0, 4, 9, 16]]);
    const other = complete({ method: "reuse", passes: 4 }, CHECKPOINT);
    assert.deepEqual([other.method, other.fullSteps], ["reuse", [0, 4, 9, 16]]);
  });

  it("goes by the window where one is asked for, and where there is no plan for the steps", () => {
    for (
      const given of [{ flexWindow: 0.75 }, { windowSize: 3 }, { tailSteps: 1 }, { errorBudget: 0.1 }, {
        passes: 0,
      }]
    ) {
      const { passes, fullSteps } = complete(given, CHECKPOINT);
      assert.deepEqual([passes, fullSteps], [0, undefined], JSON.stringify(given));
    }
    assert.deepEqual(complete({}, { ...CHECKPOINT, steps: 50 }), SAMPLER_DEFAULTS.spectrum);
    assert.equal(complete({ method: "taylorseer" }, CHECKPOINT).fullSteps, undefined);
    assert.equal(complete({ method: "none", passes: 4 }, CHECKPOINT).fullSteps, undefined);
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

  it("refuses passes that no plan has, and passes beside a window", () => {
    const cases = [
      [
        { passes: 7 },
        CHECKPOINT,
        "'passes' must be one of 3, 4, the checkpoint's plans for 20 steps: current value is 7",
      ],
      [
        { passes: 4 },
        { ...CHECKPOINT, steps: 50 },
        "'passes' must be 0, as this checkpoint has no plans for 50 steps: current value is 4",
      ],
      [
        { passes: 4 },
        { ...CHECKPOINT, plans: undefined },
        "'passes' must be 0, as this checkpoint has no plans",
      ],
      [
        { passes: 4, flexWindow: 3 },
        CHECKPOINT,
        "'passes' and 'flexWindow' exclude each other: current values are 4 and 3",
      ],
      [{ passes: 4, fullSteps: [0, 1] }, CHECKPOINT, "'passes' and 'fullSteps' exclude each other"],
    ] as const;
    for (const [given, checkpoint, message] of cases) {
      assert.throws(() => complete(given, checkpoint), (error: Error) => {
        assert.equal(error.name, "RangeError");
        assert.ok(error.message.startsWith(`Cannot generate as ${message}`), error.message);
        return true;
      });
    }
  });
});
