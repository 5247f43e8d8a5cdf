import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { plotCosts } from "../../../../gpu-worker/cli/bench/plot_costs.ts";

describe("plotCosts()", () => {
  it("draws both costs as one SVG document", () => {
    const svg = plotCosts([
      { tokens: 64, full: 2, forecast: 0.1 },
      { tokens: 4096, full: 500, forecast: 1.5 },
    ], "models/emoji");
    assert.match(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
    for (const label of ["full pass", "forecast", "image tokens", "milliseconds"]) {
      assert.ok(svg.includes(label), label);
    }
    // Two points a line.
    assert.equal(svg.match(/<circle/g)?.length, 2);
  });
});
