// A redis-server of our own on this machine: in memory, on a free loopback port, ended with us.

export interface RedisServer extends AsyncDisposable {
  /** redis://127.0.0.1:PORT */
  url: string;
  port: number;
  /** Kills the server, as a loss of power would. */
  kill(): Promise<void>;
}

/**
 * Starts a redis-server without persistence.
 * @param port a free one unless given
 * @throws {Deno.errors.NotFound} if redis-server is not installed
 */
export async function startRedisServer(port: number = freePort()): Promise<RedisServer> {
  const process = new Deno.Command("redis-server", {
    args: [
      "--bind",
      "127.0.0.1",
      "--port",
      String(port),
      "--save",
      "",
      "--appendonly",
      "no",
      "--loglevel",
      "warning",
    ],
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  await accepts(port).catch((cause) => {
    process.kill("SIGKILL");
    throw cause;
  });
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    async kill() {
      process.kill("SIGKILL");
      await process.status;
    },
    async [Symbol.asyncDispose]() {
      try {
        process.kill("SIGTERM");
      } catch {
        // Ctrl-C reached it before us.
      }
      await process.status;
    },
  };
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Resolves once something listens on `port`. @throws {Error} after five seconds */
async function accepts(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    try {
      using _connection = await Deno.connect({ hostname: "127.0.0.1", port });
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw new Error("Cannot start redis-server as it does not accept connections");
}
