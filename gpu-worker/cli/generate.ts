// The process of `deno task generate`.
import { runCommand } from "../flags/run_command.ts";
import { generate } from "./generate/generate.ts";

if (import.meta.main) await runCommand("generate", generate);
