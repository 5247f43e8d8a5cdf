// Runs that differ from what a calibration was recorded on.
import { join } from "node:path";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import type { PartialRequest } from "../../../gpu-worker/request/generate_request.ts";
import type { CalibrationCase } from "./calibration_draws.ts";
import type { CalibrationCell } from "./calibration_rows.ts";
import { randomLora } from "../../browser/lora.ts";

/** Prompts that no checkpoint here was trained on, and that no calibration uses. */
export const UNKNOWN_PROMPTS = [
  "a submarine made of glass",
  "Kathedrale im Nebel",
  "zzz",
  "three astronauts",
  "a",
  "42 paper boats",
  "the sound of rain",
  "an old map, ink on paper",
  "a city at night seen from a train",
  "qwertz",
  "les enfants du paradis",
  "portrait of a scientist, oil painting",
  "snow",
  "two cups of coffee on a wooden table",
  "minimalism",
  "a very long bridge over a deep canyon in autumn",
];

export interface MismatchOptions {
  prompts: readonly string[];
  passes: readonly number[];
}

export function mismatches(model: string, { prompts, passes }: MismatchOptions): CalibrationCase[] {
  const isVideo = model.includes("shapes");
  const cellsOf = (steps: number): CalibrationCell[] =>
    passes.flatMap((count) => [
      { row: "calibrated", passes: count, steps, sampler: { method: "calibrated", passes: count } },
      { row: "Spectrum", passes: count, steps, sampler: { method: "spectrum", passes: count } },
      { row: "fewer steps", passes: count, steps: count, sampler: { method: "none" } },
    ]);
  const of = (name: string, change: Partial<PartialRequest>, some = prompts): CalibrationCase => ({
    name,
    prompts: some,
    request: (i) => ({ prompt: some[i]!, seed: 42 + i, steps: 50, ...change }),
    cells: cellsOf(change.steps ?? 50),
  });
  const guidance = (scale: number) => isVideo ? { guidanceScale: scale } : { trueCfgScale: scale };
  return [
    of("as recorded", {}),
    { ...of("seeds from 10^9 on", {}), request: (i) => ({ prompt: prompts[i]!, seed: 1e9 + i, steps: 50 }) },
    of("unknown prompts", {}, UNKNOWN_PROMPTS.slice(0, prompts.length)),
    ...[1, 3, 5].map((scale) => of(`guidance ${scale}`, guidance(scale))),
    ...isVideo ? [of("9 frames", { numFrames: 9 }), of("33 frames", { numFrames: 33 })] : [
      of("96x96 pixels", { width: 96, height: 96 }),
      { ...of("a random LoRA", {}), open: () => withLora(model) },
    ],
    of("37 steps", { steps: 37 }),
    of("100 steps", { steps: 100 }),
  ];
}

/** Opens the checkpoint with a LoRA that changes what the pictures show. Its calibration stays in use. */
async function withLora(model: string) {
  const folder = Deno.makeTempDirSync();
  try {
    const path = join(folder, "random.safetensors");
    Deno.writeFileSync(path, randomLora());
    return await openPipeline(`${model}+${path}`, { intraOpThreads: 1 });
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}
