import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import {
  countHistorySlots,
  type OptionsOf,
  planSteps as planByRule,
  resolveSamplerOptions,
  type StepKind,
} from "../../../sampler/mod.ts";

const SPECTRUM: OptionsOf<"window"> = { windowSize: 2, flexWindow: 0.75, warmupSteps: 5, tailSteps: 0 };

function planSteps(steps: number, window: OptionsOf<"window">): StepKind[] {
  return planByRule(steps, { fullPasses: { by: "window", ...window } });
}

function fullSteps(plan: readonly StepKind[]): number[] {
  return [...plan.keys()].filter((step) => plan[step] === "full");
}

describe("planSteps()", () => {
  it("gives the two published plans at 50 steps", () => {
    assert.deepEqual(fullSteps(planSteps(50, SPECTRUM)), [0, 1, 2, 3, 4, 6, 8, 11, 15, 20, 25, 31, 38, 46]);
    assert.deepEqual(
      fullSteps(planSteps(50, { ...SPECTRUM, flexWindow: 3 })),
      [0, 1, 2, 3, 4, 6, 11, 19, 30, 44],
    );
  });

  it("gives 11 and 8 full passes at 28 steps", () => {
    assert.equal(fullSteps(planSteps(28, SPECTRUM)).length, 11);
    assert.equal(fullSteps(planSteps(28, { ...SPECTRUM, flexWindow: 3 })).length, 8);
  });

  it("gives TaylorSeer's plan for a window that does not grow", () => {
    const options = { windowSize: 4, flexWindow: 0, warmupSteps: 3, tailSteps: 0 };
    assert.deepEqual(fullSteps(planSteps(20, options)), [0, 1, 2, 6, 10, 14, 18]);
  });

  it("gives full passes alone for none, within the warm-up and for a window of 1", () => {
    assert.deepEqual(planByRule(3, { fullPasses: { by: "every" } }), ["full", "full", "full"]);
    assert.deepEqual(planSteps(3, SPECTRUM), ["full", "full", "full"]);
    assert.equal(fullSteps(planSteps(9, { ...SPECTRUM, windowSize: 1, flexWindow: 0 })).length, 9);
  });

  it("does not drift when small additions make up a whole", () => {
    // Twenty plain additions of 0.05 to 2 give 2.9999999999999964: the 21st gap would be one step short.
    const full = fullSteps(planSteps(60, { ...SPECTRUM, flexWindow: 0.05 }));
    const gaps = full.slice(5).map((step, i) => step - full[i + 4]!);
    assert.deepEqual(gaps.slice(0, 21), [...new Array(20).fill(2), 3]);
  });

  it("refuses numbers outside their range", () => {
    const cases: [number, Partial<OptionsOf<"window">>, string][] = [
      [0, {}, "Cannot plan the steps as 'steps' must be an integer >= 1: current value is 0"],
      [2.5, {}, "Cannot plan the steps as 'steps' must be an integer >= 1: current value is 2.5"],
      [
        50,
        { windowSize: -2 },
        "Cannot plan the steps as 'windowSize' must be a number >= 1: current value is -2",
      ],
      [
        50,
        { flexWindow: NaN },
        "Cannot plan the steps as 'flexWindow' must be a number >= 0: current value is NaN",
      ],
      [
        50,
        { warmupSteps: 0 },
        "Cannot plan the steps as 'warmupSteps' must be an integer >= 1: current value is 0",
      ],
    ];
    for (const [steps, options, message] of cases) {
      assert.throws(() => planSteps(steps, { ...SPECTRUM, ...options }), { name: "RangeError", message });
    }
  });
});

describe("planSteps() beyond the paper", () => {
  it("forces a tail of full passes", () => {
    assert.deepEqual(fullSteps(planSteps(20, { ...SPECTRUM, flexWindow: 3 })), [0, 1, 2, 3, 4, 6, 11, 19]);
    const plan = planSteps(20, { ...SPECTRUM, flexWindow: 3, tailSteps: 3 });
    assert.deepEqual(fullSteps(plan), [0, 1, 2, 3, 4, 6, 11, 17, 18, 19]);
    assert.equal(fullSteps(planSteps(4, { ...SPECTRUM, warmupSteps: 1, tailSteps: 9 })).length, 4);
  });

  it("takes the given steps with any window", () => {
    const given = resolveSamplerOptions({ windowSize: 3, fullSteps: [0, 7, 19] }, 20);
    assert.deepEqual(fullSteps(planByRule(20, given)), [0, 7, 19]);
    const none = resolveSamplerOptions({ method: "none", fullSteps: [0] }, 4);
    assert.equal(fullSteps(planByRule(4, none)).length, 4);
  });

  it("refuses steps that do not ascend from 0 within the run", () => {
    for (const given of [[], [1, 2], [0, 3, 3], [0, 20], [0, 1.5]]) {
      assert.throws(() => planByRule(20, { fullPasses: { by: "fullSteps", fullSteps: given } }), {
        name: "RangeError",
        message: "Cannot plan the steps as 'fullSteps' must ascend from 0 to less than 20: " +
          `current value is ${given}`,
      });
    }
  });
});

describe("countHistorySlots()", () => {
  it("counts the full passes that a forecast follows", () => {
    assert.equal(countHistorySlots(planSteps(50, SPECTRUM)), 14);
    assert.equal(countHistorySlots(["full", "forecast", "full", "full"]), 1);
    assert.equal(countHistorySlots(["full", "full"]), 0);
  });
});
