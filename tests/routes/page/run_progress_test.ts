import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { RunProgress, showSeconds } from "../../../routes/page/browser/run_progress.js";

const PLAN = ["full", "forecast", "full", "forecast"] as const;

describe("RunProgress", () => {
  it("counts full passes for the time that is left", () => {
    const progress = new RunProgress(PLAN, 1);
    assert.deepEqual([progress.secondsLeft, progress.words], [undefined, ""]);
    progress.add(step(0, 10_000));
    // One full pass of two, and the forecasts next to nothing.
    assert.ok(Math.abs(progress.secondsLeft! - 11) < 0.5, String(progress.secondsLeft));
    assert.equal(progress.words, "Step 1 of 4, 11 s left");
    progress.finish(0);
    assert.equal(progress.secondsLeft, 0);
    assert.equal(progress.finished, true);
  });

  it("counts the pictures to come, and shows the first that is under way", () => {
    const progress = new RunProgress(PLAN, 3);
    for (const [index, kind] of PLAN.entries()) progress.add({ ...step(index, 10_000 + index), kind });
    progress.finish(0);
    progress.add(step(0, 5_000, 1));
    assert.equal(progress.shown, 1);
    assert.match(progress.words, /^Picture 2 of 3, step 1 of 4, 1[5-7] s left$/);
    assert.equal(progress.finished, false);
  });

  it("lets pictures that are made together share the time", () => {
    const progress = new RunProgress(PLAN, 2);
    for (const picture of [0, 1]) progress.add(step(0, 10_000, picture));
    assert.ok(Math.abs(progress.secondsLeft! - 11) < 0.5, String(progress.secondsLeft));
  });

  it("forgets the steps of a picture that is begun again", () => {
    const progress = new RunProgress(PLAN, 1);
    progress.add(step(2, 10_000));
    progress.restart(0);
    assert.deepEqual(progress.stepsOf(0), []);
  });
});

describe("showSeconds()", () => {
  it("rounds up to numbers that are easy to read", () => {
    assert.deepEqual([0.2, 12, 91, 3600, 3900].map(showSeconds), [
      "1 s",
      "12 s",
      "2 min",
      "1 h 0 min",
      "1 h 5 min",
    ]);
  });
});

function step(step_index: number, elapsed_ms: number, image_index = 0) {
  return {
    type: "image_generation.progress",
    image_index,
    step_index,
    steps: PLAN.length,
    kind: "full",
    sigma: 1,
    elapsed_ms,
  } as const;
}
