// Plots of the comparison as SVG, by Vega-Lite without a browser.
// SVG without a browser.
// deno-lint-ignore no-import-prefix
import { parse, View } from "npm:vega@6.4.0";
// deno-lint-ignore no-import-prefix
import { compile, type TopLevelSpec } from "npm:vega-lite@6.5.0";
import { BUDGET_FAMILIES } from "./fidelity_methods.ts";
import type { FidelityCell } from "./report_fidelity.ts";

const MAX_PASSES = 17;
/**
 * Okabe and Ito's palette, which colour-blind readers tell apart; a method keeps its colour
 * when its steps are planned.
 */
const METHOD_COLORS: Readonly<Record<string, string>> = {
  "fewer steps": "#000000",
  "reuse": "#56b4e9",
  "TaylorSeer, order 1": "#009e73",
  "TaylorSeer, order 2": "#0072b2",
  "Spectrum, w 1": "#cc79a7",
  "Spectrum, w 0.5": "#d55e00",
  "Spectrum, w 0.5, T0 free": "#e69f00",
  "Spectrum, w 0.5, lam K": "#cc79a7",
  "Spectrum, w 0.5, tail 2": "#999999",
  "Spectrum, w 0.5, budget": "#009e73",
  "TaylorSeer, order 2, budget": "#0072b2",
};

const PANELS: readonly { title: string; methods: readonly string[] }[] = [
  {
    title: "As published",
    methods: [
      "fewer steps",
      "reuse",
      "TaylorSeer, order 1",
      "TaylorSeer, order 2",
      "Spectrum, w 1",
      "Spectrum, w 0.5",
    ],
  },
  {
    title: "Spectrum's ridge, tail and window",
    methods: [
      "fewer steps",
      "Spectrum, w 0.5",
      "Spectrum, w 0.5, T0 free",
      "Spectrum, w 0.5, lam K",
      "Spectrum, w 0.5, tail 2",
      "Spectrum, w 0.5, budget",
      "TaylorSeer, order 2, budget",
    ],
  },
  {
    title: "At planned steps",
    methods: [
      "fewer steps",
      "planned reuse",
      "planned TaylorSeer, order 1",
      "planned TaylorSeer, order 2",
      "planned Spectrum, w 0.5",
    ],
  },
];

/** PSNR over full passes, one panel a question. */
export async function plotPsnr(cells: readonly FidelityCell[]): Promise<string> {
  const values = PANELS.flatMap(({ title, methods }) =>
    methods.flatMap((method) =>
      cells.filter((cell) => nameOf(cell) === method && cell.passes.mean <= MAX_PASSES)
        .map(({ passes, psnr }) => ({ panel: title, method, passes: passes.mean, psnr: psnr.mean }))
    )
  );
  const [low, high] = [
    Math.min(...values.map(({ psnr }) => psnr)),
    Math.max(...values.map(({ psnr }) => psnr)),
  ];
  const panel = ({ title, methods }: (typeof PANELS)[number]) => ({
    title,
    width: 250,
    height: 300,
    transform: [{ filter: `datum.panel === ${JSON.stringify(title)}` }],
    mark: { type: "line", point: true },
    encoding: {
      x: {
        field: "passes",
        type: "quantitative",
        title: "full passes",
        scale: { domain: [7.5, MAX_PASSES] },
      },
      y: {
        field: "psnr",
        type: "quantitative",
        title: "PSNR against all 50 steps in full, dB",
        scale: { domain: [Math.floor(low) - 1, Math.ceil(high) + 1] },
      },
      color: {
        field: "method",
        type: "nominal",
        title: null,
        sort: methods,
        scale: { domain: methods, range: methods.map(colorOf) },
        legend: { orient: "bottom", columns: 1, labelLimit: 240 },
      },
    },
  });
  return await svg({
    data: { values },
    background: "white",
    resolve: { scale: { color: "independent" } },
    hconcat: PANELS.map(panel),
  } as TopLevelSpec);
}

/** Which steps are full under each plan. */
export async function plotPlans(
  plans: readonly { name: string; fullSteps: readonly number[] }[],
): Promise<string> {
  const values = plans.flatMap(({ name, fullSteps }) => fullSteps.map((step) => ({ name, step })));
  return await svg({
    data: { values },
    background: "white",
    width: 620,
    height: { step: 20 },
    mark: { type: "tick", thickness: 4 },
    encoding: {
      x: { field: "step", type: "quantitative", title: "step", scale: { domain: [0, 49] } },
      y: {
        field: "name",
        type: "nominal",
        title: null,
        sort: plans.map(({ name }) => name),
        axis: { labelLimit: 300 },
      },
    },
  } as TopLevelSpec);
}

function colorOf(method: string): string {
  return METHOD_COLORS[method.replace("planned ", "")]!;
}

/** The points of one budget family make one line. */
function nameOf({ method }: FidelityCell): string {
  return BUDGET_FAMILIES.find(({ name }) => method.startsWith(name))?.name ?? method;
}

async function svg(spec: TopLevelSpec): Promise<string> {
  return await new View(parse(compile(spec).spec), { renderer: "none" }).toSVG() + "\n";
}
