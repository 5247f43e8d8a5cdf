// `deno task bench:worker`: pictures per second through a worker, and its cold start. A table a file.
import { parseArgs } from "@std/cli/parse-args";
import { coldStartTable } from "./cold_start_table.ts";
import { throughputTable } from "./throughput_table.ts";

const { rounds = "9", pictures = "32", starts = "5" } = parseArgs(Deno.args, {
  string: ["rounds", "pictures", "starts"],
});
await throughputTable({ clients: [1, 4, 16], pictures: Number(pictures), rounds: Number(rounds) });
await coldStartTable({ rounds: Number(starts) });
