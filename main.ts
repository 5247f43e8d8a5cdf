// The edge process: serves routes/ and, told to stop, finishes the answers it has begun.
import { listen } from "./protocol/process/listen.ts";
import { readFlags } from "./protocol/process/read_flags.ts";
import { stopWithParent } from "./protocol/process/stop_with_parent.ts";
import { UsageError } from "./protocol/process/usage_error.ts";

/**
 * Answers in progress get this long after SIGTERM or Ctrl-C: longer than a worker takes for
 * the pictures behind them.
 */
const SHUTDOWN_MS = 120_000;

const HELP = `Usage: deno task edge

Runs the edge alone. It has no options but these variables; docs/api.md describes them all:

  HOST, PORT              where to listen (127.0.0.1, 8000)
  SPECTRUM_WORKERS        addresses of workers, separated by commas
  SPECTRUM_API_KEYS       keys that clients must send
  SPECTRUM_MODEL_ALIASES  further names of models

'deno task start' runs an edge and a worker together.
`;

if (import.meta.main) await main();

async function main(): Promise<void> {
  try {
    const { help } = readFlags(Deno.args, { help: "switch" });
    if (help) console.log(HELP);
    else await serve();
  } catch (error) {
    console.error(`edge: ${error instanceof Error ? error.message : error}`);
    Deno.exit(error instanceof UsageError ? 2 : 1);
  }
}

async function serve(): Promise<void> {
  // Imported here, as a wrong configuration is thrown while it loads.
  const { default: edge, config, log, stopping } = await import("./routes/edge.ts");
  const server = listen({
    hostname: config.host,
    port: config.port,
    onListen() {},
  }, edge.fetch);

  const stop = async (signal: Deno.Signal) => {
    // Asked twice, it goes at once.
    if (stopping.signal.aborted) Deno.exit(1);
    stopping.abort();
    log("info", "stopping", { signal });
    await Promise.race([server.shutdown(), new Promise((resolve) => setTimeout(resolve, SHUTDOWN_MS))]);
    Deno.exit(0);
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, () => stop(signal));
  stopWithParent(() => stop("SIGTERM"));
  // Who reads this may send a signal at once.
  const { hostname, port } = server.addr;
  log("info", "listening", { url: `http://${hostname}:${port}`, pid: Deno.pid });
}
