import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { shortRunNote } from "../../../gpu-worker/request/short_runs.ts";

describe("shortRunNote()", () => {
  it("speaks of runs that are too short for forecasts, and of no others", () => {
    assert.equal(shortRunNote({ method: "none", steps: 8 }), "forecasts are off by default below 9 steps");
    const looking = { method: "none", steps: 50, references: [0] } as const;
    assert.equal(shortRunNote(looking), "forecasts are off by default with images to look at");
    assert.equal(shortRunNote({ ...looking, method: "spectrum" }), undefined);
    assert.equal(shortRunNote({ method: "none", steps: 9 }), undefined);
    assert.equal(shortRunNote({ method: "spectrum", steps: 4 }), undefined);
  });
});
