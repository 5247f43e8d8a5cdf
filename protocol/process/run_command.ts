// Runs a command: handles Ctrl-C, one-line errors and exit
// codes (0 done, 1 failed, 2 usage, 130 interrupted). Paths are relative to the folder of the user.
import { enterUserFolder } from "./enter_user_folder.ts";
import { UsageError } from "./usage_error.ts";

export interface RunCommandOptions {
  /** Says what an interrupted command leaves behind. @default "nothing was written" */
  interrupted?: string | (() => string);
}

/**
 * Runs `main` with the command line, then ends the process.
 * Ctrl-C and SIGTERM abort the signal that `main` receives.
 */
export async function runCommand(
  name: string,
  main: (args: string[], signal: AbortSignal) => Promise<void>,
  { interrupted = "nothing was written" }: RunCommandOptions = {},
): Promise<never> {
  const controller = new AbortController();
  const abort = () => controller.abort(new DOMException("Interrupted", "AbortError"));
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, abort);
  try {
    enterUserFolder();
    await main(Deno.args, controller.signal);
  } catch (error) {
    if (controller.signal.aborted) {
      console.error(`${name}: interrupted, ${typeof interrupted === "string" ? interrupted : interrupted()}`);
      Deno.exit(130);
    }
    console.error(`${name}: ${oneLine(error)}`);
    if (Deno.env.get("SPECTRUM_DEBUG")) console.error(error);
    Deno.exit(error instanceof UsageError ? 2 : 1);
  }
  Deno.exit(0);
}

function oneLine(error: unknown): string {
  const message = error instanceof Error ? error.message || error.name : String(error);
  return message.replace(/\s*\n\s*/g, " ");
}
