// The process of `deno task models`.
import { runCommand } from "../../protocol/process/run_command.ts";
import { models } from "./models/models.ts";

if (import.meta.main) await runCommand("models", models);
