// Draws cost by tokens with logarithmic axes. Plot is by the authors of d3; it is named here and not in
// deno.json, so that only `deno task bench:sampler` and the tests install it
// (docs/decisions/0043-packages-of-benches.md).
// deno-lint-ignore no-import-prefix
import * as Plot from "npm:@observablehq/plot@0.6.17";
// Stands in for a browser's document.
import { DOMParser } from "deno-dom";
import type { TokenCost } from "./cost_table.ts";

/** Returns an SVG document. */
export function plotCosts(costs: readonly TokenCost[], title: string): string {
  const points = costs.flatMap(({ tokens, full, forecast }) => [
    { tokens, ms: full, kind: "full pass" },
    { tokens, ms: forecast, kind: "forecast" },
  ]);
  const lines = { x: "tokens", y: "ms", z: "kind", stroke: "kind" };
  const plot = Plot.plot({
    document: new DOMParser().parseFromString("<html></html>", "text/html") as never,
    title,
    width: 640,
    height: 400,
    marginRight: 80,
    style: { background: "white" },
    x: { type: "log", base: 2, label: "image tokens", grid: true, ticks: costs.map(({ tokens }) => tokens) },
    y: { type: "log", label: "milliseconds", grid: true },
    marks: [
      Plot.lineY(points, { ...lines, marker: "circle" }),
      Plot.text(
        points,
        Plot.selectLast({ ...lines, text: "kind", stroke: "none", fill: "kind", dx: 8, textAnchor: "start" }),
      ),
    ],
  });
  const svg = plot.tagName.toLowerCase() === "svg" ? plot : plot.querySelector("svg")!;
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return `${svg.outerHTML}\n`;
}
