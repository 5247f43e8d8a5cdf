// The edge process: serves routes/ and, told to stop, finishes the answers it has begun.
import { listen } from "./protocol/process/listen.ts";

/** Answers in progress get this long after SIGTERM or Ctrl-C: longer than a worker takes for the pictures behind them. */
const SHUTDOWN_MS = 120_000;

if (import.meta.main) await main();

async function main(): Promise<void> {
  try {
    await serve();
  } catch (error) {
    console.error(`edge: ${error instanceof Error ? error.message : error}`);
    Deno.exit(1);
  }
}

async function serve(): Promise<void> {
  // Imported here, as a wrong configuration is thrown while it loads.
  const { default: edge, config, log, stopping } = await import("./routes/edge.ts");
  const server = listen({
    hostname: config.host,
    port: config.port,
    onListen: ({ hostname, port }) =>
      log("info", "listening", { url: `http://${hostname}:${port}`, pid: Deno.pid }),
  }, edge.fetch);

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(signal, async () => {
      // Asked twice, it goes at once.
      if (stopping.signal.aborted) Deno.exit(1);
      stopping.abort();
      log("info", "stopping", { signal });
      await Promise.race([server.shutdown(), new Promise((resolve) => setTimeout(resolve, SHUTDOWN_MS))]);
      Deno.exit(0);
    });
  }
}
