// The process of `deno task plan`.
import { runCommand } from "../flags/run_command.ts";
import { plan } from "./plan/plan.ts";

if (import.meta.main) await runCommand("plan", plan);
