// The process of `deno task bench:sampler`.
import { runCommand } from "../../protocol/process/run_command.ts";
import { bench } from "./bench/bench.ts";

if (import.meta.main) await runCommand("bench:sampler", bench);
