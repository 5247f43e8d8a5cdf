// `deno task bench:sampler` measures how much of the step plan's limit a run reaches, on the embedded
// checkpoint and on a larger random one. It also measures memory, cost by tokens and steps, and our full pass
// against diffusers'. Each table is a file in bench/.
import { UsageError } from "../../../protocol/process/usage_error.ts";
import { isFile } from "../../checkpoint/is_file.ts";
import { openPipeline } from "../../model/open_pipeline.ts";
import { costTable } from "./cost_table.ts";
import { plotCosts } from "./plot_costs.ts";
import { speedTable } from "./speed_table.ts";
import { round } from "./statistics.ts";
import { writeRandomFlux } from "./write_random_flux.ts";
import type { PartFiles } from "../../checkpoint/part_files.ts";
import { PART_FLAGS, PART_HELP, readPartFlags } from "../../flags/part_flags.ts";
import { readFlags } from "../../../protocol/process/read_flags.ts";
import { runPeer } from "./run_peer.ts";

const HELP = `Usage: deno task bench:sampler [options]

  --model DIR|FILE  checkpoint (models/emoji)
${PART_HELP}
  --rounds N        rounds of each table (51)
  --large-rounds N  rounds on the random FLUX of width 1024 with 1,024 image tokens; 0 skips it (2)
  --python FILE     Python with torch and diffusers; adds diffusers' full pass on the same CPU
  --plot FILE       SVG file for a plot of cost by tokens
`;

/** The large random checkpoint. Its full pass takes some 600 ms on two cores. */
const LARGE = { width: 1024, doubleBlocks: 2, singleBlocks: 6, side: 256 };
/** Sides in pixels: 64 to 4,096 tokens of models/emoji. */
const SIDES = [64, 128, 256, 512];
const TOKEN_SIDE = 8;
const STEPS = [10, 20, 28, 50, 100];

export async function bench(args: string[], signal: AbortSignal): Promise<void> {
  const flags = readFlags(args, {
    ...PART_FLAGS,
    model: "text",
    rounds: "number",
    "large-rounds": "number",
    python: "text",
    plot: "text",
    help: "switch",
  });
  if (flags.help) return console.log(HELP);
  const { model = "models/emoji", rounds = 51, "large-rounds": largeRounds = 2, python, plot } = flags;
  const parts = readPartFlags(flags);
  if (python !== undefined && isFile(model)) {
    throw new UsageError("--python takes a checkpoint's folder as --model, as diffusers is timed on it too");
  }
  await benchModel({ model, parts, rounds, python, signal });
  if (largeRounds > 0) await benchLarge({ rounds: largeRounds, python, signal });
  if (model !== "models/emoji") return;
  using pipeline = await openPipeline(model);
  const costs = await costTable(pipeline, {
    sides: SIDES,
    tokensOf: (side) => (side / TOKEN_SIDE) ** 2,
    steps: STEPS,
    rounds: Math.min(rounds, 5),
    signal,
  });
  if (plot !== undefined) await Deno.writeTextFile(plot, plotCosts(costs, model));
}

interface ModelBench {
  model: string;
  parts?: PartFiles;
  rounds: number;
  python: string | undefined;
  /** Steps of diffusers' timed run. @default the checkpoint's */
  peerSteps?: number;
  signal: AbortSignal;
}

async function benchModel({ model, parts, rounds, python, peerSteps, signal }: ModelBench): Promise<void> {
  using pipeline = await openPipeline(model, { parts });
  const { full } = await speedTable(pipeline, { model, parts, rounds, signal });
  if (python === undefined) return;
  const peer = await runPeer({ python, model, rounds, steps: peerSteps, signal });
  const theirs = peer.stepSeconds * 1000;
  console.log(
    `a full pass: ours ${round(full, 2)} ms, ${peer.name} ${round(theirs, 2)} ms, ours / theirs ${
      round(full / theirs, 3)
    }`,
  );
}

async function benchLarge(options: Omit<ModelBench, "model">): Promise<void> {
  const model = await Deno.makeTempDir({ prefix: "random-flux-" });
  try {
    await writeRandomFlux(model, LARGE);
    await benchModel({ ...options, model, peerSteps: 6 });
  } finally {
    await Deno.remove(model, { recursive: true });
  }
}
