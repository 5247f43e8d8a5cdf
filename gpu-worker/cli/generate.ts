// The process of `deno task generate`.
import { runCommand } from "../../protocol/process/run_command.ts";
import { generate } from "./generate/generate.ts";

if (import.meta.main) {
  let written = 0;
  await runCommand("generate", (args, signal) => generate(args, { signal, onWritten: () => written++ }), {
    interrupted: () => written === 0 ? "nothing was written" : `${written} of the pictures were written`,
  });
}
