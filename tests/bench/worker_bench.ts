// `deno task bench:worker`: pictures per second through a worker, its cold start, and what a batch
// is worth. A table a file.
import { readFlags } from "../../protocol/process/read_flags.ts";
import { runCommand } from "../../protocol/process/run_command.ts";
import { coldStartTable } from "./cold_start_table.ts";
import { rowsTable } from "./rows_table.ts";
import { throughputTable } from "./throughput_table.ts";

const HELP = `Usage: deno task bench:worker [options]

  --rounds N     rounds of the table of pictures per second (9)
  --pictures N   pictures of a row in a round (32)
  --starts N     cold starts (5)
`;

async function workerBench(args: string[]): Promise<void> {
  const { rounds = 9, pictures = 32, starts = 5, help } = readFlags(args, {
    rounds: "number",
    pictures: "number",
    starts: "number",
    help: "switch",
  });
  if (help) return console.log(HELP);
  await throughputTable({ clients: [1, 4, 16], pictures, rounds });
  await coldStartTable({ rounds: starts });
  await rowsTable({ model: "models/emoji", branches: 2, rounds: 40 });
}

if (import.meta.main) await runCommand("bench:worker", workerBench);
