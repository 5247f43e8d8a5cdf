// Times denoising, full passes and forecasts separately, and compares each row of a table with the first.
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { PartialRequest } from "../../request/generate_request.ts";
import { meanOf } from "../mean_of.ts";
import { median } from "./statistics.ts";
import { completeRequest } from "../../request/complete_request.ts";

export interface BenchRow {
  name: string;
  sampler: PartialRequest["sampler"];
}

/** The published settings, used instead of the checkpoint's stored plan. */
const PUBLISHED = { method: "spectrum", windowSize: 2, warmupSteps: 5 } as const;

/** Method none, and the published step plans: 14 and 10 full passes of 50 steps. */
export const PUBLISHED_ROWS: readonly BenchRow[] = [
  { name: "none", sampler: { method: "none" } },
  { name: "spectrum, flex 0.75", sampler: { ...PUBLISHED, flexWindow: 0.75 } },
  { name: "spectrum, flex 3", sampler: { ...PUBLISHED, flexWindow: 3 } },
];

/** Fields of a request that a row or a table may set. */
type Settings = Partial<Omit<PartialRequest, "prompt" | "seed">>;

export interface TimeRunsOptions {
  rows: readonly BenchRow[];
  rounds: number;
  /** Fields of the request besides prompt, seed and sampler. */
  request?: Settings;
  signal: AbortSignal;
}

/** Medians; times are in milliseconds. */
export interface RunTiming {
  name: string;
  steps: number;
  passes: number;
  denoise: number;
  /** One full pass. */
  full: number;
  /** One forecast step; 0 if there is none. */
  forecast: number;
  /** Share of the denoising time that full passes take, 0..1. */
  share: number;
  /** Denoising time of the first row divided by this row's, for each round. Empty for the first row. */
  speedups: number[];
}

/**
 * Times the rows in short turns, with the first row between any two others.
 * In each round a row draws several pictures: together they have as many full passes as one picture
 * of the first row. Their mean time is compared with the mean of the first row's pictures just
 * before and after. A drift of the machine's speed then cancels.
 * Disturbances meet both sides for equally long. A single short run would
 * escape them more often, and its median would look too good.
 */
export async function timeRuns(pipeline: Pipeline, options: TimeRunsOptions): Promise<RunTiming[]> {
  const { rows, rounds, signal, request } = options;
  const time = ({ sampler }: BenchRow) => timeRun(pipeline, { ...request, sampler }, signal);
  const [reference, ...others] = rows as [BenchRow, ...BenchRow[]];
  const turns = others.map((row) => ({ row, samples: [] as Sample[], speedups: [] as number[] }));
  // The first run of each row is a warm-up.
  for (const row of rows) await time(row);

  const references = [await time(reference)];
  for (let round = 0; round < rounds; round++) {
    if (others.length === 0) references.push(await time(reference));
    for (const { row, samples, speedups } of turns) {
      const before = references.at(-1)!;
      const drawn = [await time(row)];
      while (drawn.length < Math.round(before.passes / drawn[0]!.passes)) drawn.push(await time(row));
      const after = await time(reference);
      speedups.push(meanOf([before.denoise, after.denoise]) / meanOf(drawn.map(({ denoise }) => denoise)));
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
