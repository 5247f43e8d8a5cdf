// Writes what was measured into docs/quality.md, between its marks, and the plots beside it.
import { join } from "node:path";
import type { PlansByFamily } from "./fidelity_methods.ts";
import type { FidelityRecord } from "./measure_fidelity.ts";
import type { RecognitionRecord } from "./measure_recognition.ts";
import { plotPlans, plotPsnr } from "./plot_quality.ts";
import { fidelityCells, fidelityReport } from "./report_fidelity.ts";
import { recognitionReport } from "./report_recognition.ts";

export interface Measured {
  plans: PlansByFamily;
  fidelity: readonly FidelityRecord[];
  recognition: readonly RecognitionRecord[];
}

const PUBLISHED_PLANS = [
  { name: "Spectrum, window 2 + 3", fullSteps: [0, 1, 2, 3, 4, 6, 11, 19, 30, 44] },
  { name: "TaylorSeer and reuse, window 6", fullSteps: [0, 1, 2, 8, 14, 20, 26, 32, 38, 44] },
];
const SHOWN_PASSES = 10;

/** @param folder that holds quality.md */
export async function publish({ plans, fidelity, recognition }: Measured, folder: string): Promise<void> {
  const path = join(folder, "quality.md");
  let text = await Deno.readTextFile(path);
  if (fidelity.length > 0) {
    const cells = fidelityCells(fidelity);
    text = replaceMarked(text, { mark: "fidelity", content: fidelityReport(cells) });
    await Deno.writeTextFile(join(folder, "quality-psnr.svg"), await plotPsnr(cells));
    const planned = Object.entries(plans).map(([name, byPasses]) => ({
      name,
      fullSteps: byPasses[SHOWN_PASSES]!,
    }));
    await Deno.writeTextFile(
      join(folder, "quality-plans.svg"),
      await plotPlans([...PUBLISHED_PLANS, ...planned]),
    );
  }
  if (recognition.length > 0) {
    text = replaceMarked(text, { mark: "recognition", content: recognitionReport(recognition) });
  }
  await Deno.writeTextFile(path, text);
}

function replaceMarked(text: string, { mark, content }: { mark: string; content: string }): string {
  const [begin, end] = [
    `<!-- ${mark}: by deno task bench:quality --publish -->\n`,
    `<!-- end of ${mark} -->`,
  ];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`Cannot publish as quality.md has no place marked ${mark}`);
  return `${text.slice(0, from + begin.length)}\n${content}\n\n${text.slice(to)}`;
}
