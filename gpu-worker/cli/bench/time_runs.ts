// Times denoising, full passes and forecasts apart, with the rows of a table taking turns.
import type { PartialRequest, Pipeline } from "../../pipelines/pipeline.ts";
import { median } from "./statistics.ts";

export interface BenchRow {
  name: string;
  sampler: PartialRequest["sampler"];
}

/** Whatever the checkpoint's own plan is. */
const PUBLISHED = { method: "spectrum", windowSize: 2, warmupSteps: 5 } as const;

/** Everything in full, and the published plans: 14 and 10 full passes of 50 steps. */
export const PUBLISHED_ROWS: readonly BenchRow[] = [
  { name: "none", sampler: { method: "none" } },
  { name: "spectrum, flex 0.75", sampler: { ...PUBLISHED, flexWindow: 0.75 } },
  { name: "spectrum, flex 3", sampler: { ...PUBLISHED, flexWindow: 3 } },
];

/** What a row or a table may set. */
type Settings = Partial<Omit<PartialRequest, "prompt" | "seed">>;

export interface TimeRunsOptions {
  rows: readonly BenchRow[];
  rounds: number;
  /** Of the request, beside prompt, seed and sampler. */
  request?: Settings;
  signal: AbortSignal;
}

/** Milliseconds: medians over the rounds. */
export interface RunTiming {
  name: string;
  steps: number;
  passes: number;
  denoise: number;
  /** One full pass. */
  full: number;
  /** One forecast step; 0 where there is none. */
  forecast: number;
}

/** Rows take turns, so that a drift of the machine's speed meets them all; a first round warms up. */
export async function timeRuns(pipeline: Pipeline, options: TimeRunsOptions): Promise<RunTiming[]> {
  const { rows, rounds, signal, request } = options;
  const samples = rows.map((): Sample[] => []);
  for (let turn = -1; turn < rounds; turn++) {
    for (const [i, { sampler }] of rows.entries()) {
      const sample = await timeRun(pipeline, { ...request, sampler }, signal);
      if (turn >= 0) samples[i]!.push(sample);
    }
  }
  return rows.map(({ name }, i) => {
    const of = (read: (sample: Sample) => number) => median(samples[i]!.map(read));
    const { steps, passes } = samples[i]![0]!;
    return {
      name,
      steps,
      passes,
      denoise: of(({ denoise }) => denoise),
      full: of(({ full }) => full / passes),
      forecast: steps === passes ? 0 : of(({ forecast }) => forecast / (steps - passes)),
    };
  });
}

interface Sample {
  steps: number;
  passes: number;
  denoise: number;
  full: number;
  forecast: number;
}

async function timeRun(pipeline: Pipeline, request: Settings, signal: AbortSignal): Promise<Sample> {
  const spent = { full: 0, forecast: 0 };
  let last = 0;
  const { plan, seconds } = await pipeline.generate(
    pipeline.complete({ prompt: "red heart", seed: 42, ...request }),
    {
      signal,
      onStep: ({ kind, elapsedMs }) => {
        spent[kind] += elapsedMs - last;
        last = elapsedMs;
      },
    },
  );
  const passes = plan.filter((kind) => kind === "full").length;
  return { steps: plan.length, passes, denoise: seconds.denoise * 1000, ...spent };
}
