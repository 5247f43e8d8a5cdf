import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import type { GenerateResult, Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import type { PartialRequest } from "../../../gpu-worker/request/generate_request.ts";
import { MAX_BUDGET_SLOTS } from "../../../sampler/mod.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";

const STEPS = 24;

let pipeline: Pipeline;
before(async () => void (pipeline = await openPipeline("models/emoji")));
after(() => pipeline[Symbol.dispose]());

async function generate(
  sampler: PartialRequest["sampler"],
  steps = STEPS,
  trueCfgScale?: number,
): Promise<GenerateResult> {
  const request = { prompt: "owl", seed: 5, steps, sampler, trueCfgScale };
  return await pipeline.generate(completeRequest(request, pipeline.description));
}

const fullSteps = ({ plan }: GenerateResult) => [...plan.keys()].filter((step) => plan[step] === "full");

describe("models/emoji under an error budget", () => {
  it("measures the same over its ring of features as over all of them", async () => {
    // No error is small enough, so every step is a full pass and the history wraps around. Linear forecasts
    // read the last two features.
    const ring = await generate({ method: "taylorseer", order: 1, errorBudget: 1e-9 });
    assert.ok(fullSteps(ring).length > MAX_BUDGET_SLOTS + 2, `${fullSteps(ring)}`);
    const whole = await generate({ method: "taylorseer", order: 1, fullSteps: fullSteps(ring) });
    assert.ok(ring.forecastErrors.size >= whole.forecastErrors.size);
    for (const [step, error] of whole.forecastErrors) {
      // The same sums in float32, over the same number of slots or fewer.
      assert.ok(Math.abs(ring.forecastErrors.get(step)! - error) < 1e-5 + 1e-3 * error, `step ${step}`);
    }
    assert.deepEqual(ring.latents.data, whole.latents.data);
  });

  it("makes fewer full passes for a larger budget, and says which", async () => {
    const [small, large] = [
      await generate({ errorBudget: 0.05 }, 50),
      await generate({ errorBudget: 0.2 }, 50),
    ];
    assert.ok(fullSteps(large).length < fullSteps(small).length && fullSteps(small).length < 50);
    assert.deepEqual([...large.forecastErrors.keys()], fullSteps(large).slice(1));
    // The same features on the same machine give the same plan.
    assert.deepEqual((await generate({ errorBudget: 0.2 }, 50)).plan, large.plan);
  });

  // Above the recorded guidance, calibrated forecasts take no error back. For that they need to know where
  // a gap ends, which an error budget does not tell them.
  for (const [method, guidance] of [["spectrum", undefined], ["calibrated", 2.5]] as const) {
    it(`gives the picture that the steps it chose give when they are asked for, with ${method}`, async () => {
      const chosen = await generate({ method, errorBudget: 0.2 }, 50, guidance);
      assert.ok(fullSteps(chosen).length < MAX_BUDGET_SLOTS);
      const asked = await generate({ method, fullSteps: fullSteps(chosen) }, 50, guidance);
      const largest = asked.latents.data.reduce(
        (max, value, i) => Math.max(max, Math.abs(value - chosen.latents.data[i]!)),
        0,
      );
      assert.ok(largest < 1e-4, `latents differ by ${largest}`);
    });
  }
});
