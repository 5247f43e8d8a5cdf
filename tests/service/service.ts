// Real processes for tests: tasks of deno.json, each ended and waited for.
import { TextLineStream } from "@std/streams/text-line-stream";
import { until } from "../until.ts";

export interface StartTaskOptions {
  args?: string[];
  env?: Record<string, string>;
  /** Working folder. @default this one */
  cwd?: string;
  /** Its first group is what the task is waited for and known by, such as an address. */
  until: RegExp;
}

export interface RunningTask extends AsyncDisposable {
  process: Deno.ChildProcess;
  /** The output that `until` found. */
  found: string;
  /** Lines on standard output so far. */
  lines: string[];
}

/** Resolves once the task has printed what `until` describes. */
export function startTask(name: string, { args = [], ...options }: StartTaskOptions): Promise<RunningTask> {
  return startDeno(["task", "--quiet", name, ...args], options);
}

/** A worker's own HTTP surface over a fake pipeline: a process of its own, which can be killed. */
export function startFakeWorker(args: string[] = [], env: Record<string, string> = {}): Promise<RunningTask> {
  return startDeno(["run", "-A", "tests/gpu-worker/http/serve_fake_worker.ts", ...args], {
    env,
    until: /"message":"listening","url":"([^"]+)"/,
  });
}

/**
 * As startTask(), of any command of deno's. `process` is the program itself: killing
 * it leaves nothing behind.
 */
export async function startDeno(
  args: string[],
  { env = {}, cwd, until }: Omit<StartTaskOptions, "args">,
): Promise<RunningTask> {
  const process = new Deno.Command(Deno.execPath(), {
    args,
    env: { INIT_CWD: cwd ?? Deno.cwd(), ...env },
    ...cwd !== undefined && { cwd },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const lines: string[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const output: ReadableStream<string> = process.stdout
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  const reading = (async () => {
    for await (const line of output) {
      lines.push(line);
      const caught = until.exec(line);
      if (caught !== null) resolve(caught[1]!);
    }
    reject(new Error(`'deno ${args.join(" ")}' ended early:\n${lines.join("\n")}`));
  })();
  const found = await promise;
  return {
    process,
    found,
    lines,
    async [Symbol.asyncDispose]() {
      try {
        process.kill("SIGINT");
      } catch {
        // It has ended already.
      }
      await process.status;
      await reading;
    },
  };
}

export interface Service extends RunningTask {
  /** Origin of the edge. */
  url: string;
  /** Origin of the worker behind it. */
  workerUrl: string;
}

/** `deno task start` on free ports, with models/emoji. */
export async function startService(
  env: Record<string, string> = {},
  ...workerArgs: string[]
): Promise<Service> {
  const task = await startTask("start", {
    args: [
      "--port",
      "0",
      ...workerArgs.includes("--models") ? [] : ["--models", "models/emoji"],
      ...workerArgs,
    ],
    env,
    until: /^Spectrum Edge is at (\S+)/,
  });
  const workerUrl = /"process":"worker","message":"listening","url":"([^"]+)"/.exec(
    task.lines.join("\n"),
  )![1]!;
  return { ...task, url: task.found, workerUrl, [Symbol.asyncDispose]: () => task[Symbol.asyncDispose]() };
}

/** A worker's metrics by name and labels, as Prometheus prints them: `spectrum_runs_total{...}` -> value. */
export async function readMetrics(workerUrl: string): Promise<Map<string, number>> {
  const text = await (await fetch(`${workerUrl}/metrics`)).text();
  const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(samples.map((line) => {
    const space = line.lastIndexOf(" ");
    return [line.slice(0, space), Number(line.slice(space + 1))];
  }));
}

/** All samples of `name`, summed over labels. */
export async function readMetric(workerUrl: string, name: string): Promise<number> {
  const metrics = await readMetrics(workerUrl);
  return [...metrics].filter(([key]) => key === name || key.startsWith(`${name}{`))
    .reduce((sum, [, value]) => sum + value, 0);
}

/** Resolves when nothing runs or waits on the worker. */
export async function untilIdle(workerUrl: string): Promise<void> {
  await until(async () =>
    await readMetric(workerUrl, "spectrum_running") === 0 &&
    await readMetric(workerUrl, "spectrum_queue_depth") === 0
  );
}
