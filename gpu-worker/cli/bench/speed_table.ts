// Measures how much of its step plan's limit a run reaches, the cost of
// a forecast relative to a full pass, and the history's size.
import { featureElements } from "../../pipeline/run_shape.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import { describeModel, type DescribeModelOptions } from "../../model/describe_model.ts";
import { DTYPE_BYTES } from "../../runtime/dtype.ts";
import { countHistorySlots, planSteps } from "../../../sampler/mod.ts";
import { measurePeak } from "./measure_peak.ts";
import { median, quantile, round } from "./statistics.ts";
import { type BenchRow, PUBLISHED_ROWS, type RunTiming, timeRuns } from "./time_runs.ts";
import { completeRequest } from "../../request/complete_request.ts";

export interface SpeedTableOptions extends DescribeModelOptions {
  model: string;
  rounds: number;
  signal: AbortSignal;
}

const MIB = 2 ** 20;
const ROWS: readonly BenchRow[] = [...PUBLISHED_ROWS, { name: "the model's own default", sampler: {} }];

/** Prints the table and returns its first row, method none. */
export async function speedTable(pipeline: Pipeline, options: SpeedTableOptions): Promise<RunTiming> {
  const { model, parts, rounds, signal, provider = "cpu" } = options;
  const timings = await timeRuns(pipeline, { rows: ROWS, rounds, signal });
  const described = describeModel(model, options);
  const { dtype } = described;
  const features = featureElements(
    described,
    completeRequest({ prompt: "red heart", seed: 42 }, pipeline.description),
  );
  const none = timings[0]!;
  const peaks: (number | undefined)[] = [];
  for (const { sampler } of ROWS) {
    // Peak memory does not include GPU memory.
    peaks.push(provider === "cpu" ? await measurePeak(model, { parts, sampler, signal }) : undefined);
  }
  console.log(
    `${model}: a full pass takes ${round(none.full, 2)} ms; F = ${features}, ${dtype}\n` +
      `${rounds} rounds, medians; a round's speedup is the time of none, just before and after, ` +
      "over that of as many pictures as have its full passes",
  );
  console.table(timings.map(({ name, steps, passes, denoise, full, forecast, share, speedups }, i) => {
    const { sampler } = completeRequest({
      prompt: "red heart",
      seed: 42,
      sampler: ROWS[i]!.sampler,
    }, pipeline.description);
    const slots = countHistorySlots(planSteps(steps, sampler));
    const peak = peaks[i];
    const reached = speedups.map((speedup) => speedup * passes / steps);
    return {
      row: name,
      passes: `${passes}/${steps}`,
      "denoise ms": round(denoise, 2),
      ...speedups.length > 0 && {
        speedup: round(median(speedups), 3),
        limit: round(steps / passes, 3),
        reached: round(median(reached), 3),
        quartiles: [0.25, 0.75].map((share) => quantile(reached, share).toFixed(3)).join(" to "),
      },
      "forecast / full": round(forecast / full, 5),
      "in full passes": round(share, 4),
      "K x F MiB": round(slots * features * DTYPE_BYTES[dtype] / MIB, 2),
      ...peak !== undefined && {
        "peak MiB": round(peak / MIB, 0),
        "over none": round((peak - peaks[0]!) / MIB, 1),
      },
    };
  }));
  return none;
}
