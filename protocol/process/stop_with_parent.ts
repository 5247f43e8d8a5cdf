// Stops a process of `deno task start` once start has gone. A start that is killed sends no signal, but its
// end of a pipe closes, on every system. The task runner and --watch in between hand their standard input on.

/** "1": a parent holds the other end of standard input. */
export const PARENT_PIPE = "SPECTRUM_PARENT_PIPE";

export interface StopWithParentOptions {
  env: (name: string) => string | undefined;
  input: Pick<typeof Deno.stdin, "read">;
}

/** Calls `stop` once standard input ends, where PARENT_PIPE says that a parent holds it. */
export async function stopWithParent(
  stop: () => unknown,
  { env = allowedEnv, input = Deno.stdin }: Partial<StopWithParentOptions> = {},
): Promise<void> {
  if (env(PARENT_PIPE) !== "1") return;
  const buffer = new Uint8Array(64);
  try {
    while (await input.read(buffer) !== null);
  } catch {
    // A pipe that cannot be read has no parent either.
  }
  stop();
}

/** A process whose permissions leave this variable out was not started by `deno task start`. */
function allowedEnv(variable: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  return state === "granted" ? Deno.env.get(variable) : undefined;
}
