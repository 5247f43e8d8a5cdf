// `deno task bench`: how much of the plan's limit a run reaches, and how our full pass compares with diffusers'.
import { openPipeline } from "../pipelines/open_pipeline.ts";
import type { PartialRequest, Pipeline } from "../pipelines/pipeline.ts";
import { readFlags } from "./read_flags.ts";
import { runCommand } from "./run_command.ts";
import { runPeer } from "./run_peer.ts";

const HELP = `Usage: deno task bench [options]

  --model DIR       checkpoint (models/emoji)
  --rounds N        runs of each row, taken in turn (7)
  --python FILE     a Python with torch and diffusers: adds their full pass on the same CPU, measured in turn with ours
`;

interface Row {
  name: string;
  sampler: PartialRequest["sampler"];
}

/** The published plans: 14 and 10 full passes of 50 steps. */
const ROWS: readonly Row[] = [
  { name: "none", sampler: { method: "none" } },
  { name: "spectrum, flex 0.75", sampler: { method: "spectrum", flexWindow: 0.75 } },
  { name: "spectrum, flex 3", sampler: { method: "spectrum", flexWindow: 3 } },
  { name: "taylorseer N4 O1", sampler: { method: "taylorseer" } },
];

async function bench(args: string[], signal: AbortSignal): Promise<void> {
  const { help, model = "models/emoji", rounds = 7, python } = readFlags(args, {
    model: "text",
    rounds: "number",
    python: "text",
    help: "switch",
  });
  if (help) return console.log(HELP);
  using pipeline = await openPipeline(model);
  const timings = await measure(pipeline, rounds, signal);
  const none = timings[0]!;
  console.log(`${model}, ${none.steps} steps, ${rounds} rounds in turn, medians; ratios of one run`);
  console.table(timings.map(({ name, steps, passes, denoise, fullShare }) => ({
    row: name,
    passes: `${passes}/${steps}`,
    "denoise s": round(median(denoise), 4),
    speedup: round(median(none.denoise) / median(denoise), 3),
    limit: round(steps / passes, 3),
    reached: round(median(none.denoise) / median(denoise) / (steps / passes), 3),
    "in full passes": round(median(fullShare), 3),
  })));
  if (python !== undefined) await comparePeer({ python, model, rounds, ours: none, signal });
}

interface Timing {
  name: string;
  steps: number;
  passes: number;
  /** Seconds, one a round. */
  denoise: number[];
  /** Share of it that full passes took, one a round: what the limit would be without anything else. */
  fullShare: number[];
}

/** Rows take turns, so that a drift of the machine's speed meets them all. */
async function measure(pipeline: Pipeline, rounds: number, signal: AbortSignal): Promise<Timing[]> {
  const timings: Timing[] = ROWS.map(({ name }) => ({
    name,
    steps: 0,
    passes: 0,
    denoise: [],
    fullShare: [],
  }));
  for (let round = -1; round < rounds; round++) {
    for (const [i, { sampler }] of ROWS.entries()) {
      const request = pipeline.complete({ prompt: "red heart", seed: 42, sampler });
      let [last, full] = [0, 0];
      const { plan, seconds } = await pipeline.generate(request, {
        signal,
        onStep: ({ kind, elapsedMs }) => {
          if (kind === "full") full += elapsedMs - last;
          last = elapsedMs;
        },
      });
      const timing = timings[i]!;
      timing.steps = plan.length;
      timing.passes = plan.filter((kind) => kind === "full").length;
      if (round < 0) continue; // the first round warms up
      timing.denoise.push(seconds.denoise);
      timing.fullShare.push(full / 1000 / seconds.denoise);
    }
  }
  return timings;
}

async function comparePeer(
  { python, model, rounds, ours, signal }: {
    python: string;
    model: string;
    rounds: number;
    ours: Timing;
    signal: AbortSignal;
  },
): Promise<void> {
  const peer = await runPeer({ python, model, rounds, signal });
  const pass = median(ours.denoise) / ours.steps;
  console.log(
    `a full step: ours ${round(pass * 1000, 2)} ms, ${peer.name} ${round(peer.stepSeconds * 1000, 2)} ms, ` +
      `ours / theirs ${round(pass / peer.stepSeconds, 3)}`,
  );
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

if (import.meta.main) await runCommand("bench", bench);
