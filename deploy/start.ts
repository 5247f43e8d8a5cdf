// `deno task start`: worker and edge together on this machine, stopped together. --port N is the edge's; all other
// flags go to the worker. With --watch both restart when their sources change.
import { TextLineStream } from "@std/streams/text-line-stream";

/** Tried first unless --port is given; another free one is taken where it is in use. */
const DEFAULT_PORT = 8000;
/** Children that have not ended by then, after the first signal, are killed. */
const STOP_MS = 20_000;

interface Service {
  process: Deno.ChildProcess;
  /** Where it listens. */
  url: Promise<string>;
}

if (import.meta.main) await main(Deno.args);

async function main(args: readonly string[]): Promise<void> {
  const { port, watch, workerArgs } = readArguments(args);
  const suffix = watch ? ":dev" : "";
  const services: Service[] = [];
  let stopping = false;
  const stop = (signal: Deno.Signal) => {
    stopping = true;
    for (const { process } of services) kill(process, signal);
    Deno.unrefTimer(setTimeout(() => services.forEach(({ process }) => kill(process, "SIGKILL")), STOP_MS));
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => stop(signal));

  const worker = startTask(`worker${suffix}`, { args: ["--port", String(freePort()), ...workerArgs] });
  services.push(worker);
  const workerUrl = await worker.url.catch(() => undefined);
  if (workerUrl !== undefined && !stopping) {
    const edge = startTask(`edge${suffix}`, {
      env: { SPECTRUM_WORKERS: workerUrl, HOST: "127.0.0.1", PORT: String(port) },
    });
    services.push(edge);
    edge.url.then((url) => console.log(`Spectrum Edge is at ${url} (Ctrl-C stops it)`), () => {});
  }
  // Neither is of use without the other.
  await Promise.race(services.map(({ process }) => process.status));
  const failed = !stopping;
  if (failed) stop("SIGTERM");
  await Promise.all(services.map(({ process }) => process.status));
  Deno.exit(failed ? 1 : 0);
}

function readArguments(args: readonly string[]): { port: number; watch: boolean; workerArgs: string[] } {
  const workerArgs = args.filter((arg) => arg !== "--watch");
  const at = workerArgs.indexOf("--port");
  const given = at < 0 ? undefined : workerArgs.splice(at, 2)[1];
  const port = given === undefined ? freePort(DEFAULT_PORT) : Number(given);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    console.error(`start: --port must be a whole number in 0..65535: current value is '${given}'`);
    Deno.exit(2);
  }
  return { port: port === 0 ? freePort() : port, watch: args.includes("--watch"), workerArgs };
}

/** A port that nothing listens on: `preferred` if it can be. Fixed here, so that a restarted process comes back to it. */
function freePort(preferred = 0): number {
  try {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: preferred });
    return listener.addr.port;
  } catch (error) {
    if (preferred === 0) throw error;
    return freePort();
  }
}

/** A task of deno.json, so that its permissions stand in one place. Its log lines pass through. */
function startTask(
  name: string,
  { args = [], env = {} }: { args?: string[]; env?: Record<string, string> },
): Service {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", name, ...args],
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const { promise: url, resolve, reject } = Promise.withResolvers<string>();
  url.catch(() => {});
  const lines: ReadableStream<string> = process.stdout
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  (async () => {
    for await (const line of lines) {
      console.log(line);
      const listening = /"message":"listening","url":"([^"]+)"/.exec(line);
      if (listening !== null) resolve(listening[1]!);
    }
    reject(new Error(`${name} has ended`));
  })();
  return { process, url };
}

function kill(process: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    process.kill(signal);
  } catch {
    // It has ended already.
  }
}
