import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import {
  decidingOptions,
  flattenSamplerOptions,
  type Method,
  METHOD_OPTIONS,
  type ResolvedSamplerOptions,
  resolveSamplerOptions,
  SAMPLER_DEFAULTS,
  type SamplerRequest,
} from "../../sampler/mod.ts";

describe("resolveSamplerOptions()", () => {
  it("fills in the defaults of the method", () => {
    const flat = (given: SamplerRequest) => flattenSamplerOptions(resolveSamplerOptions(given, 50));
    assert.deepEqual(flat({}), SAMPLER_DEFAULTS.spectrum);
    assert.deepEqual(flat({ method: "reuse" }), SAMPLER_DEFAULTS.reuse);
    const options = flat({ method: "taylorseer", order: 2, windowSize: 6 });
    assert.deepEqual(options, { ...SAMPLER_DEFAULTS.taylorseer, order: 2, windowSize: 6 });
  });

  it("leaves its argument and the defaults as they are", () => {
    const partial = { w: 1 };
    resolveSamplerOptions(partial, 2).w = 0.25;
    assert.deepEqual(partial, { w: 1 });
    assert.equal(SAMPLER_DEFAULTS.spectrum.w, 0.5);
  });

  it("lowers the default of m on a run with few full passes", () => {
    assert.equal(resolveSamplerOptions({}, 3).m, 2);
    assert.equal(resolveSamplerOptions({}, 1).m, 0);
  });

  it("refuses an m that is not below the number of full passes", () => {
    assert.equal(resolveSamplerOptions({ m: 13 }, 50).m, 13);
    assert.throws(() => resolveSamplerOptions({ m: 14 }, 50), {
      name: "RangeError",
      message:
        "Cannot sample as 'm' must be below the number of full passes, 14 at 50 steps: current value is 14",
    });
    assert.equal(resolveSamplerOptions({ method: "taylorseer", m: 40 }, 50).m, 40);
  });

  it("refuses values outside their range, whatever the method", () => {
    const cases: [Parameters<typeof resolveSamplerOptions>[0], string][] = [
      [{ w: 1.1 }, "Cannot sample as 'w' must be a number in 0..1: current value is 1.1"],
      [{ w: -0.1 }, "Cannot sample as 'w' must be a number in 0..1: current value is -0.1"],
      [{ m: 1.5 }, "Cannot sample as 'm' must be an integer >= 0: current value is 1.5"],
      [{ lam: -1 }, "Cannot sample as 'lam' must be a number >= 0: current value is -1"],
      [{ order: 3 }, "Cannot sample as 'order' must be an integer in 1..2: current value is 3"],
      [
        { windowSize: -2 },
        "Cannot plan the steps as 'windowSize' must be a number >= 1: current value is -2",
      ],
    ];
    for (const [partial, message] of cases) {
      assert.throws(() => resolveSamplerOptions({ method: "none", ...partial }, 50), {
        name: "RangeError",
        message,
      });
    }
  });

  it("refuses options that the method lacks", () => {
    const cases: [Parameters<typeof resolveSamplerOptions>[0], string][] = [
      [
        { constantPenalty: 2 },
        "Cannot sample as 'constantPenalty' must be a number in 0..1: current value is 2",
      ],
      [{ lamGrowth: 3 }, "Cannot sample as 'lamGrowth' must be a number in -2..2: current value is 3"],
      [{ errorBudget: -1 }, "Cannot sample as 'errorBudget' must be a number >= 0: current value is -1"],
      [{ passes: -1 }, "Cannot sample as 'passes' must be an integer >= 0: current value is -1"],
      [
        { tailSteps: -1 },
        "Cannot plan the steps as 'tailSteps' must be an integer >= 0: current value is -1",
      ],
      [
        { errorBudget: 0.1, passes: 14 },
        "Cannot sample as 'errorBudget' and 'passes' exclude each other: one of them must be 0",
      ],
      [
        { errorBudget: 0.1, fullSteps: [0, 7] },
        "Cannot sample as 'errorBudget' and 'fullSteps' exclude each other: 'errorBudget' must be 0",
      ],
      [
        { passes: 14 },
        "Cannot sample as 'passes' takes 'fullSteps': current value of 'passes' is 14",
      ],
    ];
    for (const [partial, message] of cases) {
      assert.throws(() => resolveSamplerOptions(partial, 50), { name: "RangeError", message });
    }
  });

  it("keeps the one way to choose the full passes, and nothing of the others", () => {
    const window = { windowSize: 3, flexWindow: 0.75, warmupSteps: 5, tailSteps: 0 };
    const fullSteps = [0, 9, 20, 31, 42];
    const cases: [SamplerRequest, ResolvedSamplerOptions["fullPasses"]][] = [
      [{ windowSize: 3 }, { by: "window", ...window }],
      [{ windowSize: 3, errorBudget: 0.1 }, { by: "errorBudget", errorBudget: 0.1, ...window }],
      [{ windowSize: 3, passes: 5, fullSteps }, { by: "passes", passes: 5, fullSteps }],
      [{ windowSize: 3, fullSteps }, { by: "fullSteps", fullSteps }],
      [{ windowSize: 3, method: "none" }, { by: "every" }],
    ];
    for (const [given, rule] of cases) {
      const resolved = resolveSamplerOptions(given, 50);
      assert.deepEqual(resolved.fullPasses, rule);
      // The flat record says the same, and is a request for the same.
      const again = resolveSamplerOptions(flattenSamplerOptions(resolved), 50);
      assert.deepEqual(again, resolved);
    }
  });

  it("refuses an unknown method", () => {
    assert.throws(() => resolveSamplerOptions({ method: "toString" as Method }, 50), {
      name: "TypeError",
      message: "Cannot sample as 'method' must be one of none, calibrated, spectrum, taylorseer, reuse: " +
        "current value is toString",
    });
  });
});

describe("decidingOptions()", () => {
  const decide = (request: SamplerRequest) => decidingOptions(resolveSamplerOptions(request, 20));

  it("leaves the window out beside a plan, and the budget beside a window", () => {
    const fullSteps = [0, 5, 10];
    assert.deepEqual(decide({ method: "calibrated", passes: 3, fullSteps }), { passes: 3 });
    assert.deepEqual(decide({ method: "reuse", fullSteps }), {});
    assert.deepEqual(decide({ method: "taylorseer", fullSteps }), { order: 1 });
    const window = { windowSize: 4, flexWindow: 0, warmupSteps: 3, tailSteps: 0 };
    assert.deepEqual(decide({ method: "reuse" }), window);
    assert.deepEqual(decide({ method: "reuse", errorBudget: 0.1 }), { errorBudget: 0.1, ...window });
    assert.deepEqual(decide({ method: "none" }), {});
  });
});

describe("METHOD_OPTIONS", () => {
  it("names options that exist", () => {
    for (const name of Object.values(METHOD_OPTIONS).flat()) {
      assert.ok(name in SAMPLER_DEFAULTS.spectrum, name);
    }
  });
});
