// The process of `deno task devices`.
import { runCommand } from "../../protocol/process/run_command.ts";
import { devices } from "./devices/devices.ts";

if (import.meta.main) await runCommand("devices", devices);
