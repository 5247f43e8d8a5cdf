// The process of `deno task calibrate`.
import { runCommand } from "../../protocol/process/run_command.ts";
import { calibrate } from "./calibrate/calibrate.ts";

if (import.meta.main) {
  await runCommand("calibrate", (args, signal) => calibrate(args, signal), {
    interrupted: "the same command goes on from here",
  });
}
