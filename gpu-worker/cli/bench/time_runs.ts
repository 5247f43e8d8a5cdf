// Times denoising, full passes and forecasts apart, and each row of a table against the first.
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { PartialRequest } from "../../request/generate_request.ts";
import { mean, median } from "./statistics.ts";
import { completeRequest } from "../../request/complete_request.ts";

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

/** Medians, times in milliseconds. */
export interface RunTiming {
  name: string;
  steps: number;
  passes: number;
  denoise: number;
  /** One full pass. */
  full: number;
  /** One forecast step; 0 where there is none. */
  forecast: number;
  /** Of the denoise time in full passes. */
  share: number;
  /** Denoise time of the first row over that of this one, one a round; of the first row itself none. */
  speedups: number[];
}

/**
 * Times the rows in short turns, the first row between any two others. In each round another row draws as many pictures as
 * have the full passes of one picture of the first, and their mean is held against the mean of the first row's pictures just
 * before and after them. So a drift of the machine's speed cancels, and disturbances meet both sides for as long: a short run
 * escapes them more often than a long one, and medians of single runs would flatter it.
 */
export async function timeRuns(pipeline: Pipeline, options: TimeRunsOptions): Promise<RunTiming[]> {
  const { rows, rounds, signal, request } = options;
  const time = ({ sampler }: BenchRow) => timeRun(pipeline, { ...request, sampler }, signal);
  const [reference, ...others] = rows as [BenchRow, ...BenchRow[]];
  const turns = others.map((row) => ({ row, samples: [] as Sample[], speedups: [] as number[] }));
  // Of every row the first run warms up.
  for (const row of rows) await time(row);

  const references = [await time(reference)];
  for (let round = 0; round < rounds; round++) {
    if (others.length === 0) references.push(await time(reference));
    for (const { row, samples, speedups } of turns) {
      const before = references.at(-1)!;
      const drawn = [await time(row)];
      while (drawn.length < Math.round(before.passes / drawn[0]!.passes)) drawn.push(await time(row));
      const after = await time(reference);
      speedups.push(mean([before.denoise, after.denoise]) / mean(drawn.map(({ denoise }) => denoise)));
      references.push(after);
      samples.push(...drawn);
    }
  }
  return [
    summarize(reference, references, []),
    ...turns.map(({ row, samples, speedups }) => summarize(row, samples, speedups)),
  ];
}

function summarize({ name }: BenchRow, samples: readonly Sample[], speedups: number[]): RunTiming {
  const of = (read: (sample: Sample) => number) => median(samples.map(read));
  const { steps, passes } = samples[0]!;
  return {
    name,
    steps,
    passes,
    denoise: of(({ denoise }) => denoise),
    full: of(({ full }) => full / passes),
    forecast: steps === passes ? 0 : of(({ forecast }) => forecast / (steps - passes)),
    share: of(({ full, denoise }) => full / denoise),
    speedups,
  };
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
    completeRequest({ prompt: "red heart", seed: 42, ...request }, pipeline.description),
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
