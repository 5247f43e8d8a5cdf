// Runs one of our commands as a user would, with the permissions in deno.json.

export interface TaskResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Starts `deno task NAME ARGS` in the checkout's root. */
export function startTask(
  name: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Deno.ChildProcess {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", name, ...args],
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1", INIT_CWD: Deno.cwd(), ...env },
  });
  return command.spawn();
}

export async function runTask(
  name: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<TaskResult> {
  const { code, stdout, stderr } = await startTask(name, args, env).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}
