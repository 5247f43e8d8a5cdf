import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import type { GenerateRequest } from "../../../gpu-worker/request/generate_request.ts";
import { RememberedWalks } from "../../../gpu-worker/pipeline/remembered_walks.ts";
import {
  createForecaster,
  createSolver,
  planSteps,
  resolveSamplerOptions,
  type SamplerOptions,
} from "../../../sampler/mod.ts";

describe("RememberedWalks", () => {
  const walks = new RememberedWalks();

  function walkOf(
    { steps = 20, shift = 3, looks = [], ...partial }:
      & Partial<SamplerOptions>
      & { steps?: number; shift?: number; looks?: number[] },
  ) {
    const sampler = resolveSamplerOptions(partial, steps);
    const solver = createSolver({ _class_name: "FlowMatchEulerDiscreteScheduler", shift }, { steps });
    const set = new Set(looks);
    return walks.of({ sampler } as GenerateRequest, {
      plan: planSteps(steps, sampler),
      forecaster: createForecaster(sampler, steps),
      solver,
      latentsAt: (index) => set.has(index),
    }, set);
  }

  it("gives the same walk to runs with the same options", () => {
    assert.equal(walkOf({ flexWindow: 3 }), walkOf({ flexWindow: 3 }));
  });

  it("gives another where anything differs that decides it", () => {
    const cases = [{}, { w: 0.9 }, { steps: 21 }, { shift: 2 }, { looks: [9] }, {
      method: "taylorseer" as const,
    }];
    const all = cases.map((options) => walkOf({ flexWindow: 3, ...options }));
    assert.equal(new Set(all).size, all.length);
    assert.equal(
      all[4]!.find((call) => call.kind === "forecast" && call.calls.at(-1)!.step >= 9)!.kind,
      "forecast",
    );
  });
});
