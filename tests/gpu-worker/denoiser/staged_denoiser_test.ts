// Two networks that take turns: only the one whose turn it is holds memory, and it hears of
// its own forecasts alone.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import type { RunDenoiser } from "../../../gpu-worker/denoiser/run_denoiser.ts";
import { StagedDenoiser } from "../../../gpu-worker/denoiser/staged_denoiser.ts";

const passAt = (step: number) => ({
  step,
  timestep: 0,
  sigma: 0,
  latents: new Float32Array(1),
  slot: undefined,
});
const forecastAt = (...steps: number[]) =>
  steps.map((step) => ({ step, timestep: 0, sigma: 0, weights: new Float64Array(1) }));

/** Returns the stages, and what happens to their denoisers. */
function record() {
  const events: string[] = [];
  const stageAt = (start: number) => ({
    start,
    open(): RunDenoiser {
      events.push(`open ${start}`);
      return {
        prepare: (forecasts) => {
          events.push(`prepare ${start}: ${forecasts.map(({ calls }) => calls.map(({ step }) => step))}`);
          return Promise.resolve();
        },
        full: ({ step }) => {
          events.push(`full ${step} on ${start}`);
          return Promise.resolve({ output: new Float32Array(1) });
        },
        forecast: (calls) => {
          events.push(`forecast ${calls.map(({ step }) => step)} on ${start}`);
          return Promise.resolve(calls.map(() => new Float32Array(1)));
        },
        [Symbol.dispose]: () => void events.push(`close ${start}`),
      };
    },
  });
  return { events, stages: [stageAt(0), stageAt(5)] };
}

describe("StagedDenoiser", () => {
  it("opens a stage's denoiser after the one before is closed, then prepares its forecasts", async () => {
    const { events, stages } = record();
    {
      using denoiser = new StagedDenoiser(stages);
      const [first, second] = [forecastAt(3, 4), forecastAt(7)];
      await denoiser.prepare([{ calls: first }, { calls: second }]);
      await denoiser.full(passAt(2));
      await denoiser.forecast(first);
      await denoiser.full(passAt(5));
      await denoiser.full(passAt(6));
      await denoiser.forecast(second);
    }
    assert.deepEqual(events, [
      "open 0",
      "prepare 0: 3,4",
      "full 2 on 0",
      "forecast 3,4 on 0",
      "close 0",
      "open 5",
      "prepare 5: 7",
      "full 5 on 5",
      "full 6 on 5",
      "forecast 7 on 5",
      "close 5",
    ]);
  });

  it("closes the denoiser that is open when a run ends early", () => {
    const { events, stages } = record();
    new StagedDenoiser(stages)[Symbol.dispose]();
    assert.deepEqual(events, ["open 0", "close 0"]);
  });
});
