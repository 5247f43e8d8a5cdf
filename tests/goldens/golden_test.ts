import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { loadGoldens, maxError } from "./golden.ts";

describe("loadGoldens()", () => {
  it("loadGoldens() reads float32 and int32 tensors with their shapes", () => {
    const goldens = loadGoldens("flux/tiny-dev");
    assert.deepEqual(goldens.shape("picture.8_steps.latents"), [1, 24, 64]);
    assert.equal(goldens.floats("picture.8_steps.latents").length, 24 * 64);
    // 574 tokens, of which the last two are start and end.
    assert.equal(goldens.ints("text.empty.clip_input_ids")[0], 572);
    assert.throws(() => goldens.floats("text.empty.clip_input_ids"), RangeError);
  });
});

describe("maxError()", () => {
  it("maxError() is relative to the largest expected value", () => {
    assert.equal(maxError([1, -3.5], [1, -4]), 0.125);
  });

  it("maxError() lets no NaN pass", () => {
    assert.ok(Number.isNaN(maxError([1, NaN], [1, 2])));
  });

  it("maxError() rejects different lengths", () => {
    assert.throws(() => maxError([1], [1, 2]), RangeError);
  });
});
