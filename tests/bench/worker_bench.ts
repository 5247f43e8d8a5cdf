// `deno task bench:worker`: pictures per second through a worker, its cold start, and what a batch is worth. A table a file.
import { parseArgs } from "@std/cli/parse-args";
import { coldStartTable } from "./cold_start_table.ts";
import { rowsTable } from "./rows_table.ts";
import { throughputTable } from "./throughput_table.ts";

const { rounds = "9", pictures = "32", starts = "5" } = parseArgs(Deno.args, {
  string: ["rounds", "pictures", "starts"],
});
await throughputTable({ clients: [1, 4, 16], pictures: Number(pictures), rounds: Number(rounds) });
await coldStartTable({ rounds: Number(starts) });
await rowsTable({ model: "models/emoji", branches: 2, rounds: 40 });
