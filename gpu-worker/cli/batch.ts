// The process of `deno task batch`.
import { runCommand } from "../../protocol/process/run_command.ts";
import { batch } from "./batch/batch.ts";

if (import.meta.main) {
  await runCommand("batch", batch, {
    interrupted: "finished pictures are kept; the same command draws the rest",
  });
}
