// `deno task start`: worker and edge together on this machine, stopped together. --port N is the edge's; --key makes an API key
// that the edge asks for and that the printed address holds. All other flags go to the worker, which serves both embedded checkpoints unless --models names others. With --watch both restart
// when their sources change.

/** Tried first unless --port is given; another free one is taken where it is in use. */
const DEFAULT_PORT = 8000;
/** Models that the worker serves by default: the embedded checkpoints, which fit into memory together. */
const EMBEDDED = ["--models", "models/emoji,models/shapes", "--max-loaded", "2"];
/** Names that apps have built in stand for the first model that makes pictures, or videos, unless this variable says otherwise. */
const ALIASES = "SPECTRUM_MODEL_ALIASES";
const OPENAI_NAMES = "dall-e-2=pictures,dall-e-3=pictures,gpt-image-1=pictures,sora-2=videos";
/** Children that have not ended by then, after the first signal, are killed. SIGTERM lets the picture at work finish. */
const STOP_MS: Partial<Record<Deno.Signal, number>> = { SIGINT: 20_000, SIGTERM: 150_000 };

interface Service {
  process: Deno.ChildProcess;
  /** Address on which it listens. */
  url: Promise<string>;
  /** The server itself; `process` is the task around it, which does not take it along when it is killed. */
  pid?: number;
}

if (import.meta.main) await main(Deno.args);

async function main(args: readonly string[]): Promise<void> {
  const { port, watch, workerArgs, withKey } = readArguments(args);
  const key = withKey ? `sk-${crypto.getRandomValues(new Uint8Array(24)).toHex()}` : undefined;
  const suffix = watch ? ":dev" : "";
  const services: Service[] = [];
  let stopping = false;
  const stop = (signal: Deno.Signal) => {
    stopping = true;
    for (const { process } of services) kill(process, signal);
    Deno.unrefTimer(setTimeout(() => services.forEach(killHard), STOP_MS[signal]));
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => stop(signal));

  const models = workerArgs.some((arg) => /^--models(=|$)/.test(arg)) ? [] : EMBEDDED;
  const worker = startTask(`worker${suffix}`, {
    args: ["--port", String(freePort()), ...models, ...workerArgs],
  });
  services.push(worker);
  const workerUrl = await worker.url.catch(() => undefined);
  if (workerUrl !== undefined && !stopping) {
    const edge = startTask(`edge${suffix}`, {
      env: {
        SPECTRUM_WORKERS: workerUrl,
        HOST: "127.0.0.1",
        PORT: String(port),
        [ALIASES]: Deno.env.get(ALIASES) ?? OPENAI_NAMES,
        ...key !== undefined && { SPECTRUM_API_KEYS: key },
      },
    });
    services.push(edge);
    edge.url.then((url) => console.log(greeting(url, key)), () => {});
  }
  // Neither is of use without the other.
  await Promise.race(services.map(({ process }) => process.status));
  const failed = !stopping;
  if (failed) stop("SIGTERM");
  await Promise.all(services.map(({ process }) => process.status));
  Deno.exit(failed ? 1 : 0);
}

function greeting(url: string, key: string | undefined): string {
  if (key === undefined) return `Spectrum Edge is at ${url} (Ctrl-C stops it)`;
  return `Spectrum Edge is at ${url}/#key=${key} (Ctrl-C stops it)\nPrograms send the header 'Authorization: Bearer ${key}'.`;
}

interface StartArguments {
  port: number;
  watch: boolean;
  withKey: boolean;
  workerArgs: string[];
}

function readArguments(args: readonly string[]): StartArguments {
  const workerArgs = args.filter((arg) => arg !== "--watch" && arg !== "--key");
  const at = workerArgs.findIndex((arg) => arg === "--port" || arg.startsWith("--port="));
  const isPair = workerArgs[at] === "--port";
  const given = at < 0 ? undefined : workerArgs.splice(at, isPair ? 2 : 1).at(-1)!.replace(/^--port=/, "");
  const port = given === undefined ? freePort(DEFAULT_PORT) : Number(given);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    console.error(`start: --port must be a whole number in 0..65535: current value is '${given}'`);
    Deno.exit(2);
  }
  return {
    port: port === 0 ? freePort() : port,
    watch: args.includes("--watch"),
    withKey: args.includes("--key"),
    workerArgs,
  };
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
  const service: Service = { process, url };
  (async () => {
    let unfinished = "";
    const decoder = new TextDecoder();
    // Written as it comes, since a busy edge logs thousands of lines a second.
    for await (const chunk of process.stdout) {
      for (let bytes = chunk; bytes.length > 0;) bytes = bytes.subarray(await Deno.stdout.write(bytes));
      const text = unfinished + decoder.decode(chunk, { stream: true });
      unfinished = text.slice(text.lastIndexOf("\n") + 1);
      const listening = /"message":"listening","url":"([^"]+)","pid":(\d+)/.exec(text);
      if (listening === null) continue;
      service.pid = Number(listening[2]);
      resolve(listening[1]!);
    }
    reject(new Error(`${name} has ended`));
  })();
  return service;
}

function killHard({ process, pid }: Service): void {
  kill(process, "SIGKILL");
  try {
    if (pid !== undefined) Deno.kill(pid, "SIGKILL");
  } catch {
    // It has ended already.
  }
}

function kill(process: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    process.kill(signal);
  } catch {
    // It has ended already.
  }
}
