// `deno task start`: worker and edge together on this machine, stopped together. With --watch, as in
// `deno task dev`, both restart when their sources change.
import { PARENT_PIPE } from "../protocol/process/stop_with_parent.ts";
import { readableLine } from "../protocol/process/readable_line.ts";

/** The port unless --port is given. If it is in use, another free one is taken. */
const DEFAULT_PORT = 8000;
/** Models that the worker serves by default: the embedded checkpoints, which fit into memory together. */
const EMBEDDED = ["--models", "models/emoji,models/shapes", "--max-loaded", "2"];
/**
 * Names that apps have built in stand for the first model that makes pictures, or videos, unless this
 * variable says otherwise.
 */
const ALIASES = "SPECTRUM_MODEL_ALIASES";
const OPENAI_NAMES = "dall-e-2=pictures,dall-e-3=pictures,gpt-image-1=pictures,sora-2=videos," +
  // Their versions and successors.
  "dall-e-*=pictures,gpt-image-*=pictures,chatgpt-image-*=pictures,sora-*=videos";
/**
 * Children that have not ended by then, after the first signal, are killed. SIGTERM lets
 * the picture at work finish.
 */
const STOP_MS: Partial<Record<Deno.Signal, number>> = { SIGINT: 20_000, SIGTERM: 150_000 };

interface Service {
  process: Deno.ChildProcess;
  /** Address on which it listens. */
  url: Promise<string>;
  /** The server itself; `process` is the task around it, which does not take it along when it is killed. */
  pid?: number;
}

const HELP = `Usage: deno task start [options]

Runs an edge and a worker on this machine and prints the address.
'deno task dev' also restarts them when their sources change.

  --port N     where to listen (8000, or a free port if that is taken)
  --key        makes an API key, which the printed address holds
  --models A,B and all other options are the worker's: deno task worker --help
               (SPECTRUM_MODEL, or models/emoji,models/shapes)

SPECTRUM_MODEL_ALIASES names further names of models (docs/api.md).
`;

/** Milliseconds between checks whether the parent still runs. */
const PARENT_MS = 1000;

if (import.meta.main) await main(Deno.args);

async function main(args: readonly string[]): Promise<void> {
  if (args.some((arg) => arg === "--help" || arg === "-h")) return console.log(HELP);
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
  // A parent that was killed passes no signal on to its children.
  const parent = Deno.ppid;
  const watching = setInterval(() => {
    if (Deno.ppid === parent) return;
    clearInterval(watching);
    stop("SIGTERM");
  }, PARENT_MS);
  Deno.unrefTimer(watching);

  const names = workerArgs.some((arg) => /^--models(=|$)/.test(arg)) || Deno.env.get("SPECTRUM_MODEL");
  const models = names ? [] : EMBEDDED;
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
  return `Spectrum Edge is at ${url}/#key=${key} (Ctrl-C stops it)\n` +
    `Programs send the header 'Authorization: Bearer ${key}'.`;
}

interface StartArguments {
  port: number;
  watch: boolean;
  withKey: boolean;
  workerArgs: string[];
}

function readArguments(args: readonly string[]): StartArguments {
  const workerArgs = args.filter((arg) => !["--watch", "--key", "--"].includes(arg));
  const at = workerArgs.findIndex((arg) => arg === "--port" || arg.startsWith("--port="));
  const isPair = workerArgs[at] === "--port";
  const given = at < 0 ? undefined : workerArgs.splice(at, isPair ? 2 : 1).at(-1)!.replace(/^--port=/, "");
  const port = given === undefined ? freePort(DEFAULT_PORT) : Number(given);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    console.error(`start: --port must be a whole number in 0..65535: current value is '${given}'`);
    Deno.exit(2);
  }
  if (given !== undefined && !isFree(port)) {
    console.error(`start: another program uses port ${port}. Try another, or 0 for a free one.`);
    Deno.exit(1);
  }
  return {
    port: port === 0 ? freePort() : port,
    watch: args.includes("--watch"),
    withKey: args.includes("--key"),
    workerArgs,
  };
}

/**
 * Returns a port that nothing listens on: `preferred` if it is free. It is chosen here, so that a restarted
 * process gets the same one.
 */
function freePort(preferred = 0): number {
  if (preferred !== 0 && isFree(preferred)) return preferred;
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch {
    return false;
  }
}

/** Starts a task of deno.json, which has its permissions. Its log lines pass through. */
function startTask(
  name: string,
  { args = [], env = {} }: { args?: string[]; env?: Record<string, string> },
): Service {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", name, ...args],
    env: { ...env, [PARENT_PIPE]: "1" },
    // Closes when this process ends, even when it is killed.
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const { promise: url, resolve, reject } = Promise.withResolvers<string>();
  url.catch(() => {});
  const service: Service = { process, url };
  (async () => {
    let unfinished = "";
    const isTerminal = Deno.stdout.isTerminal();
    const decoder = new TextDecoder();
    // Written as it comes, since a busy edge logs thousands of lines a second.
    for await (const chunk of process.stdout) {
      const text = unfinished + decoder.decode(chunk, { stream: true });
      const end = text.lastIndexOf("\n") + 1;
      if (isTerminal) {
        for (const line of text.slice(0, end).split("\n").slice(0, -1)) console.log(readableLine(line));
      } else {
        for (let bytes = chunk; bytes.length > 0;) bytes = bytes.subarray(await Deno.stdout.write(bytes));
      }
      unfinished = text.slice(end);
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
