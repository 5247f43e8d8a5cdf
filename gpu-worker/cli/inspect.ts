// The process of `deno task inspect`.
import { runCommand } from "../../protocol/process/run_command.ts";
import { inspect } from "./inspect/inspect.ts";

if (import.meta.main) await runCommand("inspect", inspect);
