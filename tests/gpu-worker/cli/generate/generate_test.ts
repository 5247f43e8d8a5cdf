// `deno task generate` from the outside, once: the other cases are in generate_slow_test.ts.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import sharp from "sharp";
import { TempFolder } from "../../../temp_folder.ts";
import { runTask } from "../run_task.ts";

describe("deno task generate", () => {
  it("writes the picture and prints one JSON object", async () => {
    using folder = new TempFolder();
    const out = folder.join("heart.png");
    const { code, stdout, stderr } = await runTask("generate", [
      "--prompt",
      "red heart",
      "--out",
      out,
      "--json",
    ]);
    assert.equal(code, 0, stderr);
    const report = JSON.parse(stdout);
    assert.equal(report.method, "calibrated");
    assert.equal(report.fullPasses, 7);
    assert.deepEqual(report.fullSteps, [0, 6, 15, 26, 35, 42, 47]);
    assert.equal(report.forecastSteps.length, 43);
    assert.deepEqual(Object.keys(report.forecastErrors).map(Number), report.fullSteps.slice(1));
    assert.deepEqual(report.outputs, [out]);
    // The least that models/emoji's own passes must reach.
    assert.ok(report.calibration.psnr >= 45, `${report.calibration.psnr} dB`);
    assert.deepEqual(
      Object.keys(report.calibration.predictedErrors),
      Object.keys(report.forecastErrors),
    );
    assert.deepEqual(report.options, { passes: 7 });
    assert.match(report.modelDigest, /^[0-9a-f]{64}$/);
    const { format, width, height } = await sharp(out).metadata();
    assert.deepEqual([format, width, height], ["png", 64, 64]);
  });
});
