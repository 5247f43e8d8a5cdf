// `deno task start` and `deno task edge` as child processes, for tests that meet the service as its users do.

/** A started task. Disposing of it stops it as Ctrl-C would, and waits. */
export interface Service extends AsyncDisposable {
  /** Address at which it answers. */
  url: string;
  /** Address of the worker, if it started one. */
  workerUrl: string | undefined;
}

export interface StartServiceOptions {
  args?: string[];
  env?: Record<string, string>;
}

/** @throws {Error} with what the task printed, if it ends before the edge listens. */
export async function startService(
  task: "start" | "edge",
  options: StartServiceOptions = {},
): Promise<Service> {
  const { args = [], env = {} } = options;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", task, ...args],
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const { url, workerUrl } = await listening(child.stdout);
  return {
    url,
    workerUrl,
    async [Symbol.asyncDispose]() {
      child.kill("SIGINT");
      await child.status;
    },
  };
}

/** Reads the log up to the edge's address, and goes on reading it so that the child never waits. */
async function listening(stdout: ReadableStream<Uint8Array<ArrayBuffer>>) {
  const reader = stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const find = (process: string) =>
    new RegExp(`"process":"${process}","message":"listening","url":"([^"]+)"`).exec(text)?.[1];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`The service has ended: ${text}`);
    text += value;
    const url = find("edge");
    if (url === undefined) continue;
    (async () => {
      while (!(await reader.read()).done);
    })();
    return { url, workerUrl: find("worker") };
  }
}
