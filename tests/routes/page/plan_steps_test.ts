import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { METHOD_OPTIONS } from "../../../routes/page/browser/method_options.js";
import { planSteps } from "../../../routes/page/browser/plan_steps.js";
import { planSteps as samplerPlan, SAMPLER_DEFAULTS } from "../../../sampler/mod.ts";

// The page has a copy of the sampler's plan, as browsers do not run TypeScript.
describe("the page's plan", () => {
  it("planSteps() equals the sampler's", () => {
    for (const method of ["none", "spectrum", "taylorseer", "reuse"] as const) {
      for (
        const [windowSize, flexWindow, warmupSteps, tailSteps] of [
          [2, 0.75, 5, 0],
          [2, 3, 5, 2],
          [4, 0, 3, 0],
          [1, 0.05, 1, 1],
          [2.5, 0.1, 8, 60],
        ] as const
      ) {
        for (const steps of [1, 4, 28, 50, 200]) {
          const page = planSteps(steps, {
            method,
            window_size: windowSize,
            flex_window: flexWindow,
            warmup_steps: warmupSteps,
            tail_steps: tailSteps,
          });
          const window = { windowSize, flexWindow, warmupSteps, tailSteps };
          const fullPasses = method === "none"
            ? { by: "every" } as const
            : { by: "window", ...window } as const;
          assert.deepEqual(page, samplerPlan(steps, { fullPasses }));
        }
      }
    }
  });

  it("METHOD_OPTIONS contains the sampler's defaults", () => {
    for (const [method, { method: _, ...options }] of Object.entries(SAMPLER_DEFAULTS)) {
      const { defaults } = METHOD_OPTIONS[method as keyof typeof METHOD_OPTIONS];
      const renamed = Object.entries(options).map(([name, value]) => [snakeCase(name), value]);
      assert.deepEqual(defaults, Object.fromEntries(renamed), method);
    }
  });
});

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
