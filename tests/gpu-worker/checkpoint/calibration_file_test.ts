import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { formatCalibration, parseCalibration } from "../../../gpu-worker/checkpoint/calibration_file.ts";
import type { StoredCalibration } from "../../../gpu-worker/request/model_calibration.ts";

const CALIBRATION: StoredCalibration = {
  source: {
    model: "models/tiny",
    modelDigest: "d1",
    scheduler: "FlowMatchEulerDiscreteScheduler",
    steps: 3,
    prompts: 2,
    guidance: 2,
    width: 16,
    height: 16,
    numFrames: 1,
  },
  coordinate: "sigma",
  grid: Float64Array.of(1, 2 / 3, 1 / 3),
  norms: Float64Array.of(1, 2, 3),
  products: {
    conditional: Float64Array.of(1, 0.9, 0.7, 0.9, 1, 0.8, 0.7, 0.8, 1),
    unconditional: Float64Array.of(1, 0.8, 0.6, 0.8, 1, 0.7, 0.6, 0.7, 1),
    cross: Float64Array.of(0.5, 0.4, 0.3, 0.4, 0.5, 0.4, 0.3, 0.4, 0.5),
  },
  guidedShare: 0.3,
  feedback: 0.5,
  plans: { 3: { 2: { fullSteps: [0, 2], psnr: 41.25 } } },
};
const TEXT = formatCalibration(CALIBRATION);

/** As much of the file as the tests change. */
interface FileJson {
  version: number;
  grid: unknown[];
  norms: unknown[];
  products: { conditional: unknown[]; unconditional: unknown[]; cross?: unknown[] };
  guidedShare: number;
  feedback?: number;
  plans: Record<string, Record<string, { fullSteps: number[] }>>;
  surprise?: number;
}

/** The text with one change to its JSON. */
function changed(change: (json: FileJson) => void): string {
  const json: FileJson = JSON.parse(TEXT);
  change(json);
  return JSON.stringify(json);
}

describe("parseCalibration()", () => {
  it("reads what formatCalibration() has written", () => {
    assert.deepEqual(parseCalibration(TEXT, "c.json"), CALIBRATION);
    assert.match(TEXT, /"fullSteps": \[0, 2\]/);
  });

  it("takes no error back by a file of an earlier version", () => {
    assert.equal(parseCalibration(changed((json) => delete json.feedback), "c.json").feedback, 0);
  });

  it("refuses a damaged file whole, naming file and field", () => {
    const cases: [string, string, RegExp][] = [
      ["cut off", TEXT.slice(0, -40), /c\.json as it is not JSON, or was cut off/],
      ["empty", "", /is not JSON/],
      ["another kind of file", '{"steps": 50}', /'version' is wrong/],
      ["NaN", TEXT.replace('"norms": [1,', '"norms": [NaN,'), /is not JSON/],
      ["infinity", changed((json) => json.grid[0] = "1e999"), /'grid.0' is wrong/],
      ["null", changed((json) => json.products.conditional[2] = null), /'products.conditional.2' is wrong/],
      ["a norm of 0", changed((json) => json.norms[1] = 0), /'norms.1' is wrong/],
      ["too few norms", changed((json) => json.norms.pop()), /'norms' must have 3 numbers, but has 2/],
      ["a grid that ascends", changed((json) => json.grid.reverse()), /'grid' must descend/],
      ["a grid of one point twice", changed((json) => json.grid[1] = 1), /'grid' must descend/],
      [
        "products of another grid",
        changed((json) => json.products.cross!.pop()),
        /'products.cross' must have 6 numbers for 3 steps, but has 5/,
      ],
      [
        "impossible products",
        changed((json) => json.products.conditional[1] = 1.5),
        /'products.conditional' must be scalar products of features/,
      ],
      [
        "products that no three features have",
        changed((json) => json.products.conditional = [1, 0.9, 1, -0.9, 0.9, 1]),
        /'products.conditional' must be scalar products of features/,
      ],
      [
        "a negative diagonal",
        changed((json) => json.products.unconditional[0] = -1),
        /'products.unconditional' must be scalar products/,
      ],
      ["one branch alone", changed((json) => delete json.products.cross), /must be there together/],
      ["no plans", changed((json) => json.plans = {}), /'plans' must not be empty/],
      [
        "no plans for a number of steps",
        changed((json) => json.plans["3"] = {}),
        /'plans.3' must not be empty/,
      ],
      [
        "a plan too long",
        changed((json) => json.plans["3"]!["2"]!.fullSteps = [0, 3]),
        /'plans.3.2' must ascend/,
      ],
      [
        "a plan from 1",
        changed((json) => json.plans["3"]!["2"]!.fullSteps = [1, 2]),
        /'plans.3.2' must ascend/,
      ],
      ["a plan of another length", changed((json) => json.plans["3"]!["2"]!.fullSteps = [0]), /in 2 numbers/],
      ["a share above 1", changed((json) => json.guidedShare = 1.1), /'guidedShare' is wrong/],
      ["a feedback above 1", changed((json) => json.feedback = 1.1), /'feedback' is wrong/],
      ["an unknown field", changed((json) => json.surprise = 1), /c\.json as 'the file' is wrong/],
      ["a later version", changed((json) => json.version = 2), /'version' is wrong/],
    ];
    for (const [name, text, message] of cases) {
      assert.throws(() => parseCalibration(text, "c.json"), (error: Error) => {
        assert.equal(error.name, "CheckpointError", name);
        assert.match(error.message, /^Cannot use calibration c\.json as /, name);
        assert.match(error.message, message, name);
        return true;
      });
    }
  });
});
