// The process of `deno task pull`.
import { runCommand } from "../../protocol/process/run_command.ts";
import { pull } from "./pull/pull.ts";

if (import.meta.main) await runCommand("pull", pull, { interrupted: "the next pull goes on from here" });
