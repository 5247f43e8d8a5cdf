// The edge process: serves routes/ and, told to stop, finishes the answers it has begun.
import edge, { config, log } from "./routes/edge.ts";

/** Answers in progress get this long after SIGTERM or Ctrl-C. */
const SHUTDOWN_MS = 10_000;

const server = Deno.serve({
  hostname: config.host,
  port: config.port,
  onListen: ({ hostname, port }) => log("info", "listening", { url: `http://${hostname}:${port}` }),
}, edge.fetch);

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.addSignalListener(signal, async () => {
    log("info", "stopping", { signal });
    await Promise.race([server.shutdown(), new Promise((resolve) => setTimeout(resolve, SHUTDOWN_MS))]);
    Deno.exit(0);
  });
}
