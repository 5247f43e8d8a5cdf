// `deno task bench:cuda`: everything that only a GPU can show, in one command. Parity of all families in each
// type with the CPU, copies to the host during a pass, the gain of a batch, and the speed of a FLUX of full
// size beside diffusers' on the same card. It has not run on CUDA yet. With --small it runs on SwiftShader
// (--device webgpu) and on the CPU too, which a test does.
import { readDevice } from "../../gpu-worker/flags/device_flags.ts";
import { readFlags } from "../../protocol/process/read_flags.ts";
import { runCommand } from "../../protocol/process/run_command.ts";
import { runPeer } from "../../gpu-worker/cli/bench/run_peer.ts";
import { speedTable } from "../../gpu-worker/cli/bench/speed_table.ts";
import { round } from "../../gpu-worker/cli/bench/statistics.ts";
import { type RandomFluxOptions, writeRandomFlux } from "../../gpu-worker/cli/bench/write_random_flux.ts";
import { openPipeline } from "../../gpu-worker/model/open_pipeline.ts";
import { describeDevice } from "../../gpu-worker/runtime/mod.ts";
import { hostTraffic } from "./cuda/host_traffic.ts";
import { parityTable } from "./cuda/parity_table.ts";
import { rowsTable } from "./rows_table.ts";

const HELP = `Usage: deno task bench:cuda [options]

  --python FILE   a Python with torch, diffusers and CUDA: adds their full pass in bfloat16 on the same card
  --rounds N      runs of each row, taken in turn (3)
  --small         parity of one family, and a FLUX that a device in software can run (two blocks of width 128,
                  8 steps); without it a FLUX.1 with random weights: 24 GB of disk, and as much GPU memory
  --device D      cuda, webgpu or cpu (cuda)
  --parity        parity and placement only
`;

/**
 * FLUX.1's transformer at 1024x1024: 4,096 image tokens. The lender's autoencoder has
 * half the scale of FLUX.1's.
 */
const FULL_SIZE: RandomFluxOptions = {
  width: 3072,
  doubleBlocks: 19,
  singleBlocks: 38,
  side: 512,
  dtype: "BF16",
};
const SMALL: RandomFluxOptions = { width: 128, doubleBlocks: 1, singleBlocks: 1, side: 32, steps: 8 };
/** The slow suites compare every family on WebGPU. */
const SMALL_PARITY = 1;

async function bench(args: string[], signal: AbortSignal): Promise<void> {
  const { help, python, rounds = 3, small, parity, device = "cuda" } = readFlags(args, {
    python: "text",
    rounds: "number",
    small: "switch",
    parity: "switch",
    device: "text",
    help: "switch",
  });
  if (help) return console.log(HELP);
  const { provider = "cuda" } = readDevice({ device, dtype: undefined });
  // Says what is missing before anything else is done.
  const { dtypes, problem } = await describeDevice(provider);
  if (problem !== undefined) throw new Error(problem);
  const problems = await parityTable({ provider, dtypes, count: small ? SMALL_PARITY : undefined, signal });
  if (parity) return report(problems);

  const model = await Deno.makeTempDir({ prefix: "random-flux-" });
  try {
    await writeRandomFlux(model, small ? SMALL : FULL_SIZE);
    const dtype = provider === "cuda" ? "bfloat16" : "float32";
    problems.push(...await hostTraffic({ model, provider, dtype }));
    await rowsTable({ model, branches: 1, provider, dtype, rounds: small ? rounds : 5 * rounds });
    using pipeline = await openPipeline(model, { provider, dtype });
    const { full } = await speedTable(pipeline, { model, rounds, signal, provider, dtype });
    if (python !== undefined) {
      const peer = await runPeer({ python, model, rounds, steps: 10, device: provider, dtype, signal });
      const theirs = peer.stepSeconds * 1000;
      console.log(
        `a full pass: ours ${round(full, 2)} ms, ${peer.name} ${round(theirs, 2)} ms: ${
          round(full / theirs, 3)
        }`,
      );
    }
  } finally {
    await Deno.remove(model, { recursive: true });
  }
  report(problems);
}

function report(problems: readonly string[]): void {
  if (problems.length > 0) throw new Error(problems.join("; "));
}

if (import.meta.main) await runCommand("bench:cuda", bench);
