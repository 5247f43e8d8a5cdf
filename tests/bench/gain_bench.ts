// `deno task bench:gain`: what each family gains from forecasting at its model's published steps
// (docs/families.md). Denoisers have the published width and few layers with random weights; the full pass of
// all layers is extrapolated from one and two. Sizes are small: 256x256, and videos of five frames.
import { round } from "../../gpu-worker/cli/bench/statistics.ts";
import { runCommand } from "../../protocol/process/run_command.ts";
import { readFlags } from "../../protocol/process/read_flags.ts";
import { UsageError } from "../../protocol/process/usage_error.ts";
import { gainOf } from "./gain/gain_of.ts";
import { fullPass, timeSteps } from "./gain/time_steps.ts";
import { listModels, writeWide, type WriteWideOptions } from "./gain/write_wide.ts";

const HELP = `Usage: deno task bench:gain --python FILE [options]

  --python FILE    a Python with torch, diffusers and transformers, which writes the checkpoints
  --models A,B     models to measure (all)
  --keep DIR       keep the checkpoints in DIR, and use those that lie there
`;

async function bench(args: string[], signal: AbortSignal): Promise<void> {
  const { help, python, models, keep } = readFlags(args, {
    python: "text",
    models: "text",
    keep: "text",
    help: "switch",
  });
  if (help) return console.log(HELP);
  if (python === undefined) throw new UsageError("--python is missing: Python writes the checkpoints");
  const chosen = models?.split(",") ?? await listModels(python, signal);
  if (keep !== undefined) await Deno.mkdir(keep, { recursive: true });
  const rows: Record<string, unknown>[] = [];
  for (const name of chosen) {
    const row = await measure(name, { python, keep, signal });
    console.log(JSON.stringify(row));
    rows.push(row);
  }
  console.table(rows);
}

/** Measures one model. Times are in milliseconds of all cores. */
async function measure(name: string, options: Omit<WriteWideOptions, "layers">) {
  const { signal } = options;
  await using one = await writeWide(name, { ...options, layers: 1 });
  const timing = await timeSteps(one.folder, signal);
  const { steps, passes, forecast } = timing;
  let full = timing.full;
  if (one.layers > 1) {
    await using two = await writeWide(name, { ...options, layers: 2 });
    const layer = await fullPass(two.folder, signal) - timing.full;
    full += (one.layers - 1) * Math.max(0, layer);
  }
  const plan = { steps, passes, forecast };
  return {
    model: name,
    layers: one.layers,
    "one layer": round(timing.full, 0),
    "full pass": round(full, 0),
    forecast: round(forecast, 1),
    "feature MiB": round(timing.featureMib, 1),
    passes: `${passes}/${steps}`,
    "at most": round(steps / passes, 3),
    gain: round(gainOf({ ...plan, full }), 3),
    "gain of one layer": round(gainOf({ ...plan, full: timing.full }), 3),
  };
}

if (import.meta.main) await runCommand("bench:gain", bench);
