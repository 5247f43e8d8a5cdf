import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { gainOf } from "./gain_of.ts";

describe("gainOf()", () => {
  const plan = { steps: 50, passes: 10, full: 100 };

  it("is steps per full pass where forecasts cost nothing, and nothing where they cost as much", () => {
    assert.equal(gainOf({ ...plan, forecast: 0 }), 5);
    assert.equal(gainOf({ ...plan, forecast: 100 }), 1);
  });

  it("counts each forecast", () => {
    assert.equal(gainOf({ ...plan, forecast: 25 }), 2.5);
  });
});
